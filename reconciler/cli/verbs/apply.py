"""``pydock apply``: the objects of manifests, as their manager now wants them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import click

from reconciler import errors
from reconciler.cli import exits, files, group, params, peek, progress, report, session, targets, waiting
from reconciler.client import client as api
from reconciler.client import http


class _Item(NamedTuple):
    """One object to apply: its manifest as it will be sent, and where that stands in ``text``:
    as document ``position`` (when that is negative, only the first ``line`` is known)."""

    target: targets.Target
    manifest: api.Manifest
    text: files.Text
    position: int = -1
    line: int = 0


@group.verb(
    "apply",
    "pydock apply -f web.yaml",
    "pydock apply -f manifests/ --wait --timeout 60s",
    "generate | pydock apply -f -",
)
@session.namespace_option
@params.files_option
@click.option("--wait", is_flag=True, help="Wait until all objects are ready.")
@params.timeout_option("5m")
@params.min_ready_option
@params.dry_run_option("Only say what would happen; 'client' checks the manifests without the server's plan.")
@click.option("--force", is_flag=True, help="Take over fields that other managers set.")
@params.manager_option
@click.pass_context
def apply(
    context: click.Context,
    names: tuple[str, ...],
    wait: bool,
    timeout: float,
    min_ready: float,
    dry_run: str,
    force: bool,
    manager: str,
) -> None:
    """Create or change objects so that they match manifests.

    If one object cannot be applied, the others still are.
    """
    run: session.Session = context.obj
    applying = _Applying(run, manager, force, dry_run)
    for item in _items(files.read(names), applying):
        applying.send(item)
    if not applying.any:
        raise errors.Invalid(f"{', '.join(names)}: there is no manifest in it")
    if wait and not dry_run:
        applying.wait(timeout, min_ready)
    if applying.failed:
        context.exit(exits.FAILED)


class _Applying:
    """One run over all documents: a failure is told and does not keep the others from being applied."""

    def __init__(self, run: session.Session, manager: str, force: bool, dry_run: str) -> None:
        self._run = run
        self._manager, self._force, self._dry_run = manager, force, dry_run
        self._sent: list[tuple[targets.Target, str]] = []
        self._explained: set[str] = set()
        self._seen = 0
        self.failed = False

    @property
    def parses(self) -> bool:
        """Whether manifests are to be checked here, all of them."""
        return self._dry_run == "client"

    @property
    def any(self) -> bool:
        """Whether there was anything to apply, good or bad."""
        return bool(self._seen or self._explained)

    def send(self, item: _Item) -> None:
        self._seen += 1
        shown = item.target
        try:
            namespace = self._run.scope(item.target)
            shown = self._run.shown(item.target.kind, namespace, item.target.name)
            outcome = self._outcome(item, namespace)
        except http.Unreachable:
            raise
        except errors.Invalid as error:
            self._explain(item, error)
        except errors.PydockError as error:
            self._fail(error, f"{item.text.name}: {shown}")
        else:
            print(f"{shown} {outcome}{' (dry run)' if self._dry_run else ''}", flush=True)
            self._sent.append((shown, namespace))

    def _outcome(self, item: _Item, namespace: str) -> str:
        kind, name = item.target.kind, item.target.name
        if self._dry_run != "client":
            return self._run.client.apply(
                kind, namespace, name, item.manifest, self._manager, force=self._force, dry_run=bool(self._dry_run)
            ).outcome
        try:
            self._run.client.get(kind, namespace, name)
        except errors.NotFound:
            return "created"
        return "configured"

    def wait(self, timeout: float, min_ready: float) -> None:
        """Waits for all that was applied; how far their images have come is shown beside the results, on stderr."""
        end = waiting.deadline(timeout)
        goal = waiting.settled(min_ready)
        for shown, namespace in self._sent:
            try:
                with progress.display(sys.stderr) as bars:
                    waiting.until(self._run.client, shown, namespace, goal, end, bars.of)
                print(f"{shown} ready", flush=True)
            except (waiting.TimedOut, errors.Permanent, errors.NotFound) as error:
                self._fail(error, str(shown))

    def refuse(self, text: files.Text, problems: Sequence[errors.Problem]) -> None:
        """A text that has problems of its own: all are told, once."""
        if text.name not in self._explained:
            self._fail(errors.Invalid(problems=problems))
        self._explained.add(text.name)

    def _explain(self, item: _Item, error: errors.Invalid) -> None:
        """The server names fields; here, where the text is, they get their lines."""
        from reconciler.cli import places

        own = places.problems(item.text)
        if own:
            self.refuse(item.text, own)
        else:
            found = places.of(item.text, item.position, item.line, error.problems)
            self._fail(errors.Invalid(error.message, found), f"{item.text.name}: {item.target}")

    def _fail(self, error: errors.PydockError, about: str = "") -> None:
        report.error(error, about)
        self.failed = True


def _items(texts: Sequence[files.Text], applying: _Applying) -> Iterator[_Item]:
    """The objects of all texts in their order; a text that has problems is told and left out."""
    for text in texts:
        glimpses = None if applying.parses or text.name.endswith(".json") else peek.glance(text.data)
        if glimpses is None:
            yield from _parsed(text, applying)
            continue
        for glimpse in glimpses:
            body = api.Manifest(glimpse.text.encode(), yaml=True)
            target = targets.Target(glimpse.kind, glimpse.name, glimpse.namespace)
            yield _Item(target, body, text, glimpse.position)


def _parsed(text: files.Text, applying: _Applying) -> Iterator[_Item]:
    from reconciler.cli import documents

    loaded = documents.load([text])
    if loaded.problems:
        applying.refuse(text, loaded.problems)
    for document in loaded.documents:
        yield _Item(document.target, api.Manifest(json.dumps(document.value).encode()), text, line=document.line)
