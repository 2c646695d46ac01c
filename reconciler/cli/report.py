"""What went wrong, in sentences on stderr, each beginning with ``pydock: ``."""

from __future__ import annotations

import sys

import click

from reconciler import errors
from reconciler.cli import table


def line(text: str) -> None:
    """One sentence."""
    sys.stdout.flush()
    for part in text.splitlines() or [""]:
        print(f"pydock: {table.clean(part)}", file=sys.stderr)


def error(problem: errors.PydockError | click.ClickException, about: str = "") -> None:
    """An error; one line for each of its problems. ``about`` names what it befell, such as ``container/web``."""
    before = f"{about}: " if about else ""
    if isinstance(problem, click.ClickException):
        line(before + problem.format_message())
    elif isinstance(problem, errors.Invalid) and problem.problems:
        for each in problem.problems:
            line(str(each) if each.file else f"{before}{each}")
    else:
        line(before + problem.message)
