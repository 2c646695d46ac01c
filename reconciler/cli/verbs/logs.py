"""``pydock logs``: what a container wrote."""

from __future__ import annotations

import sys

import click

from reconciler import errors
from reconciler.cli import completing, group, session, targets, waiting
from reconciler.model import kinds


@group.verb("logs", "pydock logs web", "pydock logs -f --tail 20 web")
@session.namespace_option
@click.argument(
    "names", nargs=-1, required=True, metavar="NAME | KIND/NAME | KIND NAME", shell_complete=completing.containers
)
@click.option("-f", "--follow", is_flag=True, help="Keep showing new output until the container has ended for good.")
@click.option("--tail", type=click.IntRange(-1), metavar="N", help="Only the last N lines; -1 means all.")
@click.option("--timestamps", is_flag=True, help="Show when each line was written.")
@click.pass_obj
def logs(run: session.Session, names: tuple[str, ...], follow: bool, tail: int | None, timestamps: bool) -> None:
    """Show what a container wrote to its standard output and error.

    The bytes are passed on as they were written, escape sequences of terminals included, as docker and kubectl do.
    With --follow it exits 0 when the container is deleted or has ended for good, and 1 when the server ends the stream.
    """
    target = targets.container(names)
    namespace = run.scope(target)
    uid = _uid(run, namespace, target) if follow else ""
    wanted = None if tail is None or tail < 0 else tail
    pieces = run.client.logs(namespace, target.name, tail=wanted, follow=follow, timestamps=timestamps)
    sys.stdout.flush()
    for piece in pieces:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    if follow:
        _check_end(run, namespace, target, uid)


def _uid(run: session.Session, namespace: str, target: targets.Target) -> str:
    return str(run.client.get(kinds.CONTAINER, namespace, target.name)["metadata"].get("uid"))


def _check_end(run: session.Session, namespace: str, target: targets.Target, uid: str) -> None:
    """A stream that ended although the container goes on was ended by the server: that must not look like its end."""
    try:
        obj = run.client.get(kinds.CONTAINER, namespace, target.name)
    except errors.NotFound:
        return
    if obj["metadata"].get("uid") == uid and not waiting.over(obj):
        raise errors.Temporary(f"{target}: the server ended the stream, although the container goes on")
