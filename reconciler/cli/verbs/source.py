"""``pydock source``: where manifests come from, and what a source holds back until somebody has looked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from reconciler import errors
from reconciler.cli import completing, group, output, params, session, table


@click.group("source")
def source() -> None:
    """Show sources and acknowledge held removals.

    A source that would suddenly remove many objects holds that back until somebody has looked.
    """


def _sub(name: str, *examples: str) -> Callable[[Callable[..., Any]], click.Command]:
    def decorate(function: Callable[..., Any]) -> click.Command:
        command = group.verb(name, *examples)(function)
        source.add_command(command)
        return command

    return decorate


@_sub("ls", "pydock source ls")
@click.option(
    "-o", "--output", "form", type=params.PLAIN, default=params.TABLE, help="Output format; a table by default."
)
@click.pass_obj
def ls(run: session.Session, form: params.Format) -> None:
    """List the sources, and the files that are not in force as they are written."""
    found = run.client.sources()
    sys.stdout.write(output.value(found, form) if form.name else render(found))


def render(found: list[dict[str, Any]]) -> str:
    """A table of sources, then what is wrong with their files, then what is held back."""
    rows = [
        (
            str(each["name"]),
            str(each.get("state") or ""),
            str(each.get("objects", 0)),
            str(len(each.get("files") or ())),
            str(len(each.get("held") or ())),
            str(each.get("message") or ""),
        )
        for each in found
    ]
    text = table.render(("NAME", "STATE", "OBJECTS", "FILES", "HELD", "MESSAGE"), rows)
    for each in found:
        problems = "".join(f"{table.clean(line)}\n" for line in _problems(each))
        text += f"\n{problems}" if problems else ""
        if each.get("held"):
            text += "\n" + _held(each)
    return text


def _problems(each: dict[str, Any]) -> list[str]:
    """What is wrong with its files, and what those wait for that are not in force yet."""
    lines = []
    for file in each.get("files") or ():
        lines += [str(problem) for problem in file.get("problems") or ()]
        lines += [f"{file['path']}: {file['message']}"] if file.get("message") else []
    return lines


def _held(each: dict[str, Any]) -> str:
    lines = "".join(f"  {table.clean(str(key))}\n" for key in each["held"])
    return f"{table.clean(each['name'])} holds back the removal of:\n{lines}"


@_sub("ack", "pydock source ack dir:/etc/pydock.d")
@click.argument("name", metavar="NAME", shell_complete=completing.sources)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def ack(run: session.Session, name: str, yes: bool) -> None:
    """Let a source remove what it holds back.

    Exactly the objects that are shown are removed.
    """
    found = next((each for each in run.client.sources() if each["name"] == name), None)
    if found is None:
        raise errors.NotFound(f"source {name!r} not found: see 'pydock source ls'")
    if not found.get("digest"):
        print(f"{table.clean(name)} holds nothing back")
        return
    sys.stdout.write(_held(found) if found.get("held") else f"{table.clean(str(found.get('message') or name))}\n")
    sys.stdout.flush()
    if not yes:
        _ask()
    for key in run.client.acknowledge(name, found["digest"]):
        print(f"{table.clean(key)} removed")


def _ask() -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask at: --yes acknowledges what is shown.")
    if not click.confirm("Remove these?"):
        raise errors.Forbidden("nothing was acknowledged")
