"""``pydock logs``: what a container wrote."""

from __future__ import annotations

import math
import secrets
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime

import click

from reconciler import errors
from reconciler.cli import completing, group, session, targets, waiting
from reconciler.model import durations, kinds


@group.verb(
    "logs", "pydock logs web", "pydock logs -f --tail 20 web", "pydock logs --since 10m web", "pydock logs -p web"
)
@session.namespace_option
@click.argument(
    "names", nargs=-1, required=True, metavar="NAME | KIND/NAME | KIND NAME", shell_complete=completing.containers
)
@click.option("-f", "--follow", is_flag=True, help="Keep showing new output until the container has ended for good.")
@click.option("--tail", type=click.IntRange(-1), metavar="N", help="Only the last N lines; -1 means all.")
@click.option("--since", metavar="TIME", default="", help="Only lines since a time (2026-01-02T03:04:05Z), or for 10m.")
@click.option("-p", "--previous", is_flag=True, help="What it wrote in the run before the latest one.")
@click.option("--timestamps", is_flag=True, help="Show when each line was written.")
@click.pass_obj
def logs(
    run: session.Session,
    names: tuple[str, ...],
    follow: bool,
    tail: int | None,
    since: str,
    previous: bool,
    timestamps: bool,
) -> None:
    """Show what a container wrote to its standard output and error.

    Its earlier runs are shown too, as far as they are kept. Where the container was made anew, because its manifest
    changed, a line on standard error says so. The bytes are passed on as they were written, escape sequences of
    terminals included, as docker and kubectl do. With --follow it exits 0 when the container is deleted or has ended
    for good, and 1 when the server ends the stream.
    """
    if previous and follow:
        raise click.UsageError("--previous and --follow exclude each other: a run that has ended writes no more.")
    moment, seconds = _since(since)
    target = targets.container(names)
    namespace = run.scope(target)
    uid = _uid(run, namespace, target) if follow else ""
    mark = secrets.token_hex(16)
    pieces = run.client.logs(
        namespace,
        target.name,
        tail=None if tail is None or tail < 0 else tail,
        follow=follow,
        timestamps=timestamps,
        since_time=moment,
        since_seconds=seconds,
        previous=previous,
        mark_with=mark,
    )
    sys.stdout.flush()
    _show(pieces, mark.encode())
    if follow:
        _check_end(run, namespace, target, uid)


def _since(text: str) -> tuple[str, int]:
    """A time, or seconds before now."""
    if not text:
        return "", 0
    try:
        return "", math.ceil(durations.seconds(text))
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone().isoformat(), 0
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a time such as 2026-01-02T03:04:05Z nor a duration such as 10m.",
            param_hint="'--since'",
        ) from None


def _show(pieces: Iterable[bytes], mark: bytes) -> None:
    """Marks go to standard error, everything else as it comes to standard output."""
    parts = _Parts(mark)
    for piece in pieces:
        for is_mark, text in parts.add(piece):
            if is_mark:
                click.echo(text.decode(errors="replace"), err=True)
            else:
                sys.stdout.buffer.write(text)
                sys.stdout.buffer.flush()


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


class _Parts:
    """Tells lines that start with a mark from the rest. Holds back only what may turn out to be a mark."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._held = b""
        #: the next byte begins a line
        self._fresh = True

    def add(self, piece: bytes) -> Iterator[tuple[bool, bytes]]:
        data, self._held = self._held + piece, b""
        while data:
            if self._fresh and data.startswith(self._mark):
                line, end, data = data.partition(b"\n")
                if not end:
                    self._held = line
                    return
                yield True, line[len(self._mark) :]
            elif self._fresh and self._mark.startswith(data):
                self._held = data
                return
            else:
                cut = self._before_mark(data)
                yield False, data[:cut]
                self._fresh, data = data[:cut].endswith(b"\n"), data[cut:]

    def _before_mark(self, data: bytes) -> int:
        """How many bytes come before a mark, or before what may be the beginning of one."""
        whole = data.find(b"\n" + self._mark)
        if whole >= 0:
            return whole + 1
        last = data.rfind(b"\n") + 1
        return last if last and self._mark.startswith(data[last:]) else len(data)
