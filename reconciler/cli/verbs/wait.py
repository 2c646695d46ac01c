"""``pydock wait``: until objects are as wished."""

from __future__ import annotations

import time
from typing import Any

import click

from reconciler import errors
from reconciler.cli import completing, exits, group, params, report, session, targets, waiting

_WISHES = "condition=NAME[=STATUS], delete or jsonpath=PATH[=VALUE]"


@group.verb(
    "wait",
    "pydock wait --for=condition=Ready container/web",
    "pydock wait --for=condition=Ready=False container/web --timeout 10s",
    "pydock wait --for=delete container/web",
    "pydock wait --for=jsonpath='{.status.restartCount}'=3 container/web",
    "pydock wait --for=condition=Ready containers --all",
)
@session.namespace_option
@click.argument("words", nargs=-1, metavar="KIND/NAME... | KIND NAME...", shell_complete=completing.objects)
@click.option("--for", "wish", required=True, metavar="WISH", help=f"{_WISHES}.")
@params.timeout_option("30s", zero="looks once")
@params.min_ready_option
@click.option("--all", "every", is_flag=True, help="All objects of the kind.")
@click.option("-l", "--selector", "labels", type=params.LABELS, default="", help="All objects with these labels.")
@click.pass_context
def wait(
    context: click.Context,
    words: tuple[str, ...],
    wish: str,
    timeout: float,
    min_ready: float,
    every: bool,
    labels: str,
) -> None:
    """Wait until objects are ready, gone, or have a field's value.

    A container that has done its work and ended well counts as ready. What is known never to become ready fails at
    once: it ended and stays so, it crashes again and again, its command or its image does not exist.
    """
    run: session.Session = context.obj
    goal = parse(wish, min_ready)
    end = time.monotonic() + timeout
    wanted = _targets(run, words, every, labels)
    if not wanted and not goal.gone:
        raise errors.NotFound("no matching resources found")
    failed = False
    for target in wanted:
        try:
            waiting.until(run.client, target, run.scope(target), goal, end)
            print(f"{target} {'deleted' if goal.gone else 'condition met'}", flush=True)
        except (waiting.TimedOut, errors.NotFound, errors.Permanent, errors.Invalid) as error:
            report.error(error, str(target))
            failed = True
    if failed:
        context.exit(exits.FAILED)


def parse(wish: str, min_ready: float = 0.0) -> waiting.Goal:
    """The goal that ``--for`` names. Raises ``click.UsageError``."""
    what, _, rest = wish.removeprefix("=").partition("=")
    if what == "delete" and not rest:
        return waiting.deleted()
    if what == "condition" and rest:
        name, _, status = rest.partition("=")
        return waiting.condition(name, status or "True", min_ready)
    if what == "jsonpath" and rest:
        return _value(rest)
    raise click.UsageError(f"--for: expected {_WISHES} instead of {wish!r}.")


def _value(rest: str) -> waiting.Goal:
    """The goal of ``{.status.phase}=Running``; without a value it is enough that the field is there."""
    from reconciler.cli import jsonpath

    template, _, value = rest.partition("}=") if rest.startswith("{") else rest.partition("=")
    try:
        steps = jsonpath.path(template.strip("{}"))
    except errors.Invalid as error:
        raise click.UsageError(f"--for: {error.message}.") from None

    def met(obj: dict[str, Any]) -> bool:
        found = [jsonpath.show(each) for each in jsonpath.walk(steps, obj)]
        return value in found if value else bool(found)

    return waiting.Goal(f"jsonpath {rest}", met)


def _targets(run: session.Session, words: tuple[str, ...], every: bool, labels: str) -> list[targets.Target]:
    if not (every or labels):
        return targets.named(words)
    found = []
    for target in targets.parse(words):
        if target.name:
            raise click.UsageError("--all and -l take a KIND without names.")
        present = run.client.list(target.kind, run.namespace if target.kind.namespaced else "", labels).items
        found += [targets.Target(target.kind, obj["metadata"]["name"]) for obj in present]
    return found
