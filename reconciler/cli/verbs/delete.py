"""``pydock delete``: objects by name, by label, all of a kind, or those of manifests."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import click

from reconciler import errors
from reconciler.cli import completing, documents, exits, group, params, report, session, targets, waiting
from reconciler.model import kinds


class _Victim(NamedTuple):
    """``shown`` is how the object is named to people."""

    shown: targets.Target
    namespace: str


class _How(NamedTuple):
    """``grace`` in seconds; None: as the container's spec says."""

    dry_run: str
    grace: int | None


@group.verb(
    "delete",
    "pydock delete container web",
    "pydock delete containers -l app=web --no-wait",
    "pydock delete -f web.yaml",
)
@session.namespace_option
@click.argument("words", nargs=-1, metavar="[KIND NAME... | KIND/NAME...]", shell_complete=completing.objects)
@click.option("-f", "--filename", "files", multiple=True, metavar="FILE|DIR|-", help="The objects of these manifests.")
@click.option("--all", "every", is_flag=True, help="All objects of the kind, in the namespace.")
@click.option("-l", "--selector", "labels", type=params.LABELS, default="", help="All objects with these labels.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until they are gone.")
@params.timeout_option("0")
@click.option("--ignore-not-found", is_flag=True, help="Do not fail if an object does not exist.")
@params.grace_options
@params.dry_run_option("Only say what would be deleted.")
@click.pass_context
def delete(
    context: click.Context,
    words: tuple[str, ...],
    files: tuple[str, ...],
    every: bool,
    labels: str,
    wait: bool,
    timeout: float,
    ignore_not_found: bool,
    now: bool,
    force: bool,
    grace_period: int | None,
    dry_run: str,
) -> None:
    """Delete objects, and wait until they are gone."""
    run: session.Session = context.obj
    how = _How(dry_run, params.grace(now, force, grace_period))
    victims, failed = _victims(run, words, files, every, labels)
    deleted: list[tuple[_Victim, str]] = []
    for victim in victims:
        try:
            uid = _delete(run, victim, how)
            print(f"{victim.shown} deleted{' (dry run)' if dry_run else ''}", flush=True)
            deleted.append((victim, uid))
        except errors.NotFound as error:
            if not (ignore_not_found or every or labels):
                report.error(error, str(victim.shown))
                failed = True
        except (errors.Conflict, errors.Invalid, errors.Forbidden, errors.Permanent) as error:
            report.error(error, str(victim.shown))
            failed = True
    if wait and not dry_run:
        failed = not _wait(run, deleted, timeout) or failed
    if failed:
        context.exit(exits.FAILED)


def _delete(run: session.Session, victim: _Victim, how: _How) -> str:
    """The uid of what goes, or would go."""
    (kind, name, _), namespace = victim
    if how.dry_run == "client":
        obj = run.client.get(kind, namespace, name)
    else:
        obj = run.client.delete(kind, namespace, name, dry_run=bool(how.dry_run), grace=how.grace).object
    return str(obj["metadata"].get("uid") or "")


def _victims(
    run: session.Session, words: tuple[str, ...], files: tuple[str, ...], every: bool, labels: str
) -> tuple[list[_Victim], bool]:
    """What is to go, and whether a manifest could not be read."""
    if files:
        if words or every or labels:
            raise click.UsageError("-f cannot be mixed with KIND, --all or -l.")
        return _written(run, files)
    if every or labels:
        return _present(run, targets.parse(words), labels), False
    return [_victim(run, target) for target in targets.named(words)], False


def _victim(run: session.Session, target: targets.Target) -> _Victim:
    namespace = run.scope(target)
    return _Victim(run.shown(target.kind, namespace, target.name), namespace)


def _written(run: session.Session, files: tuple[str, ...]) -> tuple[list[_Victim], bool]:
    """The objects of manifests, last first: what depends goes before what it depends on."""
    loaded = documents.read(files)
    found = [_victim(run, document.target) for document in loaded.documents[::-1]]
    for problem in loaded.problems:
        report.line(str(problem))
    return found, bool(loaded.problems)


def _present(run: session.Session, wanted: list[targets.Target], labels: str) -> list[_Victim]:
    if any(target.name for target in wanted):
        raise click.UsageError("--all and -l take a KIND without names.")
    found = [
        _victim(run, targets.Target(kind, str(obj["metadata"]["name"])))
        for kind, *_ in wanted
        for obj in _list(run, kind, labels)
    ]
    if not found:
        print("No resources found.", file=sys.stderr)
    return found


def _list(run: session.Session, kind: kinds.Kind, labels: str) -> list[dict[str, Any]]:
    return run.client.list(kind, run.namespace if kind.namespaced else "", labels).items


def _wait(run: session.Session, deleted: list[tuple[_Victim, str]], timeout: float) -> bool:
    end = waiting.deadline(timeout)
    gone = True
    for victim, uid in deleted:
        try:
            waiting.until(run.client, victim.shown, victim.namespace, waiting.deleted(uid), end)
        except waiting.TimedOut as error:
            report.error(error, str(victim.shown))
            gone = False
    return gone
