"""``pydock get``: objects as a table or as documents, once or as they change."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from reconciler import errors
from reconciler.cli import columns, completing, exits, group, output, params, progress, report, session, targets
from reconciler.client import watching
from reconciler.model import kinds


class _Query:
    """What was asked for, beside the targets."""

    def __init__(self, run: session.Session, labels: str, fields: str, everywhere: bool) -> None:
        self.run = run
        self.labels = labels
        self.fields = fields
        self.everywhere = everywhere

    def namespace(self, kind: kinds.Kind) -> str:
        return "" if self.everywhere or not kind.namespaced else self.run.namespace

    def fetch(self, target: targets.Target) -> list[dict[str, Any]]:
        if target.name:
            return [self.run.client.get(target.kind, self.run.scope(target), target.name)]
        return self.run.client.list(target.kind, self.namespace(target.kind), self.labels, self.fields).items


@group.verb(
    "get",
    "pydock get containers",
    "pydock get containers -l app=web -o wide",
    "pydock get container/web image/nginx -o yaml",
    "pydock get containers -o jsonpath='{.items[*].metadata.name}'",
)
@session.namespace_option
@click.argument("words", nargs=-1, metavar="KIND [NAME]... | KIND/NAME...", shell_complete=completing.objects)
@click.option("-l", "--selector", "labels", type=params.LABELS, default="", help="Only objects with these labels.")
@click.option("--field-selector", "fields", type=params.FIELDS, default="", help="Only objects with these fields.")
@click.option(
    "-o", "--output", "form", type=params.OBJECTS, default=params.TABLE, help="Output format; a table by default."
)
@click.option("-w", "--watch", is_flag=True, help="Keep watching, and show changes as they happen.")
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Show the objects of all namespaces.")
@click.option("--no-headers", "bare", is_flag=True, help="Print no header line.")
@click.option("--ignore-not-found", is_flag=True, help="Do not fail if an object does not exist.")
@click.pass_context
def get(
    context: click.Context,
    words: tuple[str, ...],
    labels: str,
    fields: str,
    form: params.Format,
    watch: bool,
    everywhere: bool,
    bare: bool,
    ignore_not_found: bool,
) -> None:
    """Show objects: containers, images, networks, or all of them."""
    wanted = targets.parse(words)
    if (labels or fields or everywhere) and any(target.name for target in wanted):
        raise click.UsageError("Objects asked for by name cannot be selected too (-l, --field-selector, -A).")
    query = _Query(context.obj, labels, fields, everywhere)
    if watch:
        _watch(query, wanted, form, bare)
        return
    found, failed = _fetch(query, wanted, ignore_not_found)
    single = len(wanted) == 1 and bool(wanted[0].name)
    spaced = everywhere or any(_elsewhere(query.run, obj) for obj in found)
    if form.name not in ("", "wide"):
        sys.stdout.write(output.objects(found, form, single=single, spaced=spaced) if found or not single else "")
    else:
        _tables(found, form, spaced, bare, prefix=len({target.kind for target in wanted}) > 1)
        if not found and not any(target.name for target in wanted):
            _nothing(query, wanted)
    if failed:
        context.exit(exits.FAILED)


def _fetch(query: _Query, wanted: list[targets.Target], forgive: bool) -> tuple[list[dict[str, Any]], bool]:
    """The objects, and whether any was missing; the others are shown all the same."""
    found: list[dict[str, Any]] = []
    failed = False
    for target in wanted:
        try:
            found += query.fetch(target)
        except errors.NotFound as error:
            if not forgive:
                report.error(error)
                failed = True
    return found, failed


def _elsewhere(run: session.Session, obj: dict[str, Any]) -> bool:
    """Whether an object is in another namespace than that of the command line."""
    return bool(obj["metadata"].get("namespace", run.namespace) != run.namespace)


def _tables(found: list[dict[str, Any]], form: params.Format, spaced: bool, bare: bool, prefix: bool) -> None:
    """One table a kind, in the order of their first object, with an empty line between."""
    of_kind: dict[str, list[dict[str, Any]]] = {}
    for obj in found:
        of_kind.setdefault(obj["kind"], []).append(obj)
    tables = []
    for kind, objects in of_kind.items():
        shown = columns.of(kinds.find(kind), wide=form.name == "wide", namespace=spaced, prefix=prefix)
        tables.append(output.Rows(shown, headed=not bare).render(objects))
    sys.stdout.write("\n".join(tables))


def _nothing(query: _Query, wanted: list[targets.Target]) -> None:
    spaced = not query.everywhere and any(target.kind.namespaced for target in wanted)
    where = f" in {query.run.namespace} namespace" if spaced else ""
    sys.stdout.flush()
    print(f"No resources found{where}.", file=sys.stderr)


def _watch(query: _Query, wanted: list[targets.Target], form: params.Format, bare: bool) -> None:
    """The present objects, then one line or document for each change, until interrupted."""
    if len(wanted) != 1:
        raise click.UsageError("Only one kind, or one object, can be watched at a time.")
    kind, name, written = wanted[0]
    fields = f"metadata.name={name}" if name else query.fields
    spaced = query.everywhere or written not in ("", query.run.namespace)
    shown = columns.of(kind, wide=form.name == "wide", namespace=spaced)
    rows = output.Rows(shown, headed=not bare)
    present: list[dict[str, Any]] = []
    synced = False
    table = form.name in ("", "wide")
    with _Pulls(table) as pulls:
        scope = query.run.scope(wanted[0]) if name else query.namespace(kind)
        for event in watching.follow(query.run.client, kind, scope, query.labels, fields, progress=True):
            if event.type != "BOOKMARK":
                present += [event.object] if pulls.news(event.object) else []
            elif name and not present and not synced:
                raise errors.NotFound(f"{kind.plural} {name!r} not found")
            synced = synced or event.type == "BOOKMARK"
            if synced and present:
                sys.stdout.write(rows.render(present) if table else _each(present, form, spaced))
                sys.stdout.flush()
                present = []


class _Pulls:
    """How far images have come, while objects are watched: bars below the table at a terminal, else an object again
    every few seconds."""

    def __init__(self, table: bool) -> None:
        self._bars = table and sys.stdout.isatty()
        self._showing = progress.display(sys.stdout, keep=False)
        self._told: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> _Pulls:
        self._display = self._showing.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._showing.__exit__(*error)

    def news(self, obj: dict[str, Any]) -> bool:
        """Whether the object is to be shown: it has changed, or its image has gone on coming for a while."""
        if self._bars:
            self._display.of(obj)
        metadata, now = obj["metadata"], time.monotonic()
        coming = "progress" in (obj.get("status") or {})
        uid, revision = str(metadata.get("uid")), f"{metadata.get('resourceVersion')}{' and coming' if coming else ''}"
        before, then = self._told.get(uid, ("", 0.0))
        if revision == before and (self._bars or now - then < progress.EVERY):
            return False
        self._told[uid] = (revision, now)
        return True


def _each(found: list[dict[str, Any]], form: params.Format, spaced: bool) -> str:
    divider = "---\n" if form.name == "yaml" else ""
    end = "\n" if form.name == "jsonpath" else ""
    return "".join(divider + output.objects([obj], form, single=True, spaced=spaced) + end for obj in found)
