"""``pydock system``: what the daemon keeps on the disk as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from reconciler.cli import group


@click.group("system")
def system() -> None:
    """Look after what the server keeps on the disk."""


def sub(name: str, *examples: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Makes a function the verb ``pydock system NAME``."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        command = group.verb(name, *examples)(function)
        system.add_command(command)
        return command

    return decorate
