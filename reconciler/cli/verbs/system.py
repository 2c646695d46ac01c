"""``pydock system``: the host's store of images as a whole."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from reconciler.cli import columns, group, output, params, session, table, times
from reconciler.cli.verbs import image


@click.group("system")
def system() -> None:
    """Show what the daemon keeps on disk, and tidy it up."""


def _sub(name: str, *examples: str) -> Callable[[Callable[..., Any]], click.Command]:
    def decorate(function: Callable[..., Any]) -> click.Command:
        command = group.verb(name, *examples)(function)
        system.add_command(command)
        return command

    return decorate


@_sub("df", "pydock system df", "pydock system df -v")
@click.option("-v", "--verbose", is_flag=True, help="Each image, container and leftover too.")
@click.option("-o", "--output", "form", type=params.PLAIN, default=params.TABLE, help="Another form than the table.")
@click.pass_obj
def df(run: session.Session, verbose: bool, form: params.Format) -> None:
    """Show what takes the disk.

    Layers that images share are counted once. RECLAIMABLE is what goes with the images that nothing uses, and with
    leftovers: what a crash, or a pull that was given up, has left.
    """
    found = run.client.disk_usage()
    if form.name:
        sys.stdout.write(output.value(found, form))
        return
    sys.stdout.write(table.render(("TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"), _rows(found)))
    disk = found["disk"]
    free, size = columns.size(disk["free"]), columns.size(disk["size"])
    print(f"Disk: {disk['usedPercent']:g}% of {size} used, {free} free, driver {table.clean(found['driver'])}")
    if verbose:
        sys.stdout.write(_images(found["images"]) + _containers(found["containers"]) + _leftovers(found["leftovers"]))


def _rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    images = {each["digest"] for each in found["images"]}
    used = {each["digest"] for each in found["images"] if each["usedBy"] or each["keptBy"]}
    made, left = found["containers"], found["leftovers"]
    running = sum(each["running"] for each in made)
    over = sum(each["size"] for each in left)
    return [
        _row("Images", len(images), len(used), found["layers"] + found["blobs"], found["reclaimable"]),
        _row("Containers", len(made), running, sum(each["size"] for each in made), 0),
        _row("Leftovers", len(left), 0, over, over),
    ]


def _row(what: str, total: int, active: int, size: int, free: int) -> tuple[str, ...]:
    share = f" ({100 * free // size}%)" if free else ""
    return what, str(total), str(active), image.freed(size), image.freed(free) + share


def _images(found: list[dict[str, Any]]) -> str:
    rows = [
        (
            each["reference"] or columns.NONE,
            image.short(each["imageId"]),
            columns.size(each["size"]),
            image.freed(each["shared"]),
            image.freed(each["own"]),
            times.ago(each["usedAt"]),
            ", ".join([*each["usedBy"], *each["keptBy"]]) or columns.NONE,
        )
        for each in found
    ]
    return _part("Images", ("REFERENCE", "IMAGE ID", "SIZE", "SHARED", "OWN", "LAST USED", "USED BY"), rows)


def _containers(found: list[dict[str, Any]]) -> str:
    rows = [(each["key"], "yes" if each["running"] else "no", image.freed(each["size"])) for each in found]
    return _part("Writable layers of containers", ("CONTAINER", "RUNS", "SIZE"), rows)


def _leftovers(found: list[dict[str, Any]]) -> str:
    rows = [(each["what"], each["name"], image.freed(each["size"])) for each in found]
    return _part("Leftovers", ("WHAT", "NAME", "SIZE"), rows)


def _part(title: str, headers: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return f"\n{title}:\n" + table.render(headers, rows) if rows else ""
