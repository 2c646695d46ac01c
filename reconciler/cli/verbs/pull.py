"""``pydock pull``: one image, with its progress."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import click

from reconciler import errors
from reconciler.cli import group, logins, progress, report, session, table
from reconciler.model import references


@group.verb("pull", "pydock pull registry.example/team/app:1.2")
@click.argument("reference", metavar="REFERENCE")
@click.pass_obj
def pull(run: session.Session, reference: str) -> None:
    """Pull one image now.

    Containers that use it then start at once. A login for its registry is taken from docker's config.json, is used for
    this one pull, and is not kept by the server. At a terminal a registry that wants one has it asked for.
    """
    registry = references.parse(reference).registry
    kept = logins.find(registry)
    try:
        follow("pull", reference, run.client.pull(reference, kept))
    except errors.LoginNeeded as error:
        from reconciler.cli import asking

        if not asking.possible():
            raise
        report.line(error.message)
        login = asking.ask(registry, usual=kept.username if kept else "")
        asking.enter(run, registry, login)
        follow("pull", reference, run.client.pull(reference, login))


def follow(what: str, reference: str, items: Iterable[dict[str, Any]]) -> None:
    """Shows the progress of a pull or push, and last the digest."""
    digest = ""
    with progress.display(sys.stdout) as shown:
        for item in items:
            shown.show(item)
            digest = str(item.get("digest") or digest)
    if not digest:
        raise errors.Temporary(f"the server ended the {what} without naming a digest: try again")
    print(f"{table.clean(reference)}: {digest}")
