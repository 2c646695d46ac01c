"""``pydock describe``: all that is known of an object: its spec, status, conditions and events."""

from __future__ import annotations

import sys
from typing import Any

import click

from reconciler import errors
from reconciler.cli import columns, completing, exits, group, history, output, report, session, table, targets, times
from reconciler.model import keys

_WIDTH = 14


@group.verb("describe", "pydock describe container web", "pydock describe image/nginx")
@session.namespace_option
@click.argument("words", nargs=-1, metavar="KIND NAME... | KIND/NAME...", shell_complete=completing.objects)
@click.pass_context
def describe(context: click.Context, words: tuple[str, ...]) -> None:
    """Show everything known about objects, with their events."""
    run: session.Session = context.obj
    failed = False
    texts = []
    for target in _all(run, targets.parse(words)):
        try:
            texts.append(_describe(run, target))
        except (errors.NotFound, errors.Invalid) as error:
            report.error(error)
            failed = True
    sys.stdout.write("\n\n".join(texts))
    if failed:
        context.exit(exits.FAILED)


def _all(run: session.Session, wanted: list[targets.Target]) -> list[targets.Target]:
    """``wanted`` with each bare kind replaced by all its objects."""
    found: list[targets.Target] = []
    for target in wanted:
        if target.name:
            found.append(target)
        else:
            present = run.client.list(target.kind, run.namespace if target.kind.namespaced else "").items
            found += [targets.Target(target.kind, obj["metadata"]["name"]) for obj in present]
    return found


def _describe(run: session.Session, target: targets.Target) -> str:
    namespace = run.scope(target)
    obj = run.client.get(target.kind, namespace, target.name)
    key = keys.Key.of(target.kind.name, target.name, namespace)
    return render(obj, run.client.events(str(key)))


def render(obj: dict[str, Any], events: list[dict[str, Any]], now: float | None = None) -> str:
    """The whole description of one object."""
    status = dict(obj.get("status") or {})
    conditions = status.pop("conditions", None) or []
    owner = status.pop("owner", None)
    override = status.pop("override", None)
    sections = [
        _head(obj, owner, override, now),
        _block("Spec", obj.get("spec") or {}),
        _block("Status", status),
        _conditions(conditions, now),
        _events(events, now),
    ]
    return "".join(sections)


def _head(obj: dict[str, Any], owner: Any, override: Any, now: float | None) -> str:
    metadata = obj["metadata"]
    lines = [("Name", [metadata["name"]])]
    if metadata.get("namespace"):
        lines.append(("Namespace", [metadata["namespace"]]))
    lines += [
        ("Kind", [obj["kind"]]),
        ("Labels", _pairs(metadata.get("labels"))),
        ("Annotations", _pairs(metadata.get("annotations"))),
        ("UID", [metadata.get("uid") or columns.NONE]),
        ("Created", [_moment(metadata.get("creationTimestamp"), now)]),
    ]
    if metadata.get("deletionTimestamp"):
        lines.append(("Terminating", [_moment(metadata["deletionTimestamp"], now)]))
    lines.append(("Generation", [str(metadata.get("generation", ""))]))
    if owner:
        lines.append(("Owner", [f"{owner['source']} {owner['item']}"]))
    if override:
        lines.append(("Override", _pairs(override)))
    return "".join(_line(name, values) for name, values in lines)


def _line(name: str, values: list[str]) -> str:
    first, *rest = map(table.clean, values)
    return f"{name + ':':<{_WIDTH}}{first}\n" + "".join(f"{'':<{_WIDTH}}{value}\n" for value in rest)


def _pairs(values: dict[str, Any] | None) -> list[str]:
    """``name=value`` of each; what is no text as JSON has it."""
    pairs = (values or {}).items()
    shown = [f"{name}={value if isinstance(value, str) else str(value).lower()}" for name, value in pairs]
    return shown or [columns.NONE]


def _moment(stamp: str | None, now: float | None) -> str:
    return f"{stamp} ({times.since(stamp, now)} ago)" if stamp else columns.NONE


def _block(title: str, content: dict[str, Any]) -> str:
    if not content:
        return f"{title + ':':<{_WIDTH}}{columns.NONE}\n"
    return f"{title}:\n{_indented(output.yaml(content))}"


def _indented(text: str) -> str:
    return "".join(f"  {line}" if line.strip() else line for line in text.splitlines(keepends=True))


def _conditions(conditions: list[dict[str, Any]], now: float | None) -> str:
    if not conditions:
        return f"{'Conditions:':<{_WIDTH}}{columns.NONE}\n"
    rows = [
        (
            str(entry.get("type")),
            str(entry.get("status")),
            str(entry.get("reason") or ""),
            times.since(entry.get("lastTransitionTime"), now),
            str(entry.get("message") or ""),
        )
        for entry in conditions
    ]
    return "Conditions:\n" + _indented(table.render(("TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"), rows))


def _events(events: list[dict[str, Any]], now: float | None) -> str:
    if not events:
        return f"{'Events:':<{_WIDTH}}{columns.NONE}\n"
    return "Events:\n" + _indented(history.events(events, now, about=False))
