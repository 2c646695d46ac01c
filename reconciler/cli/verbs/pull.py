"""``pydock pull``: one image, with its progress."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click

from reconciler import errors
from reconciler.cli import columns, group, logins, report, session, table
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


def follow(what: str, reference: str, progress: Iterable[dict[str, Any]]) -> None:
    """Shows the progress of a pull or push, and last the digest."""
    show = _bars if sys.stdout.isatty() else _lines
    digest = ""
    for item in show(progress):
        digest = str(item.get("digest") or digest)
    if not digest:
        raise errors.Temporary(f"the server ended the {what} without naming a digest: try again")
    print(f"{table.clean(reference)}: {digest}")


def _lines(progress: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One line for each new state of each layer."""
    seen: set[tuple[str, str]] = set()
    for item in progress:
        layer, status = str(item.get("layer") or ""), str(item.get("status") or "")
        if status and (layer, status) not in seen:
            seen.add((layer, status))
            total = item.get("total")
            print(table.clean(f"{_short(layer)}{status}" + (f" ({columns.size(total)})" if total else "")), flush=True)
        yield item


def _bars(progress: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One bar a layer."""
    from rich import markup
    from rich import progress as rich

    tasks: dict[str, rich.TaskID] = {}
    shown = (rich.TextColumn("{task.description}"), rich.BarColumn(), rich.DownloadColumn(), rich.TransferSpeedColumn())
    with rich.Progress(*shown) as bars:
        for item in progress:
            layer = str(item.get("layer") or "")
            if layer and layer not in tasks:
                tasks[layer] = bars.add_task("")
            if layer:
                text = markup.escape(table.clean(f"{_short(layer)}{item.get('status') or ''}"))
                total = item.get("total") or None
                bars.update(tasks[layer], description=text, completed=item.get("current") or 0, total=total)
            yield item


def _short(layer: str) -> str:
    return f"{layer.removeprefix('sha256:')[:12]}: " if layer else ""
