"""``pydock pull``: one image, with its progress."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from typing import Any

import click

from reconciler import errors
from reconciler.cli import asking, group, progress, report, session, table
from reconciler.model import references


@group.verb("pull", "pydock pull registry.example/team/app:1.2", "pydock pull --all-tags registry.example/team/app")
@click.argument("reference", metavar="REFERENCE")
@click.option("-a", "--all-tags", is_flag=True, help="Pull all images of the repository REFERENCE, one after another.")
@click.pass_obj
def pull(run: session.Session, reference: str, all_tags: bool) -> None:
    """Pull one image now, or all of a repository.

    Containers that wait for it then start at once. A login for its registry is taken from docker's config.json, is used
    for this one pull, and is not kept by the server. At a terminal you are asked for a login if the registry wants one.
    """
    if all_tags:
        _pull_all(run, references.parse_repository(reference))
    else:
        _pull(run, reference)


def _pull(run: session.Session, reference: str) -> None:
    registry = references.parse(reference).registry
    asking.with_login(run, registry, lambda login: follow("pull", reference, run.client.pull(reference, login)))


def _pull_all(run: session.Session, repository: references.Reference) -> None:
    """One that cannot be pulled does not keep the others from coming."""
    tags = asking.with_login(run, repository.registry, functools.partial(run.client.tags, repository.name))
    if not tags:
        raise errors.NotFound(f"repository {repository.name} has no tags")
    failed = 0
    for tag in tags:
        try:
            _pull(run, f"{repository.name}:{tag}")
        except (errors.NotFound, errors.Permanent, errors.Temporary) as error:
            report.error(error)
            failed += 1
    if failed:
        raise errors.Permanent(f"{failed} of {len(tags)} images of {repository.name} could not be pulled")


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
