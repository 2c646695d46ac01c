"""``pydock version``: of this command and of the server."""

from __future__ import annotations

import sys
from typing import Any

import click

import reconciler
from reconciler import build_info, errors
from reconciler.cli import exits, group, output, params, report
from reconciler.model import kinds

_LABELS = {
    "version": "Version",
    "apiVersion": "API version",
    "commit": "Commit",
    "python": "Python",
    "os": "OS",
    "arch": "Architecture",
    "kernel": "Kernel",
    "instance": "Instance",
}


@group.verb("version", "pydock version", "pydock version -o json")
@click.option("--client", "alone", is_flag=True, help="Show only the version of this command.")
@click.option(
    "-o", "--output", "form", type=params.PLAIN, default=params.TABLE, help="Output format; plain text by default."
)
@click.pass_context
def version(context: click.Context, alone: bool, form: params.Format) -> None:
    """Show the versions of this command and of the server."""
    parts: dict[str, dict[str, Any]] = {"client": _client()}
    failure: errors.PydockError | None = None
    if not alone:
        try:
            parts["server"] = context.obj.client.version()
        except errors.PydockError as error:
            failure = error
    sys.stdout.write(output.value(parts, form) if form.name else "".join(map(_section, parts, parts.values())))
    if failure is not None:
        report.error(failure)
        context.exit(exits.FAILED)


def _client() -> dict[str, Any]:
    import platform

    machine = platform.uname()
    return {
        "version": reconciler.__version__,
        "apiVersion": kinds.API_VERSION,
        "commit": build_info.commit(),
        "python": platform.python_version(),
        "os": machine.system.lower(),
        "arch": machine.machine,
        "kernel": machine.release,
    }


def _section(title: str, part: dict[str, Any]) -> str:
    values = {label: part.get(name) for name, label in _LABELS.items()}
    values["Drivers"] = ", ".join(f"{room} {name}" for room, name in (part.get("drivers") or {}).items())
    lines = [f" {label + ':':<14}{value}\n" for label, value in values.items() if value]
    return f"{title.capitalize()}:\n" + "".join(lines)
