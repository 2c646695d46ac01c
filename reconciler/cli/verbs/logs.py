"""``pydock logs``: what a container wrote."""

from __future__ import annotations

import sys

import click

from reconciler.cli import completing, group, session, targets


@group.verb("logs", "pydock logs web", "pydock logs -f --tail 20 web")
@session.namespace_option
@click.argument("name", metavar="NAME", shell_complete=completing.containers)
@click.option("-f", "--follow", is_flag=True, help="Go on showing what it writes.")
@click.option("--tail", type=click.IntRange(-1), metavar="N", help="Only the last N lines; -1 means all.")
@click.option("--timestamps", is_flag=True, help="Show when each line was written.")
@click.pass_obj
def logs(run: session.Session, name: str, follow: bool, tail: int | None, timestamps: bool) -> None:
    """Show what a container wrote to its standard output and error."""
    wanted = None if tail is None or tail < 0 else tail
    pieces = run.client.logs(run.namespace, targets.container(name), tail=wanted, follow=follow, timestamps=timestamps)
    sys.stdout.flush()
    for piece in pieces:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
