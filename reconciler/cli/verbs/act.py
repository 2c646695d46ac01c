"""``pydock stop``, ``start`` and ``restart``: a container's process by hand, beside what its owner wrote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from reconciler import errors
from reconciler.cli import completing, exits, group, params, report, session, targets, waiting
from reconciler.client import client as api

#: seconds that a started container must run to count as ready
_STABLE = 2.0
_DONE: dict[api.Action, str] = {"stop": "stopped", "start": "started", "restart": "restarted"}
_GOALS: dict[api.Action, Callable[[dict[str, Any]], waiting.Goal]] = {
    "stop": lambda before: waiting.stopped(),
    "start": lambda before: waiting.started(before, _STABLE),
    "restart": lambda before: waiting.restarted(before, _STABLE),
}


def _verb(action: api.Action, text: str) -> click.Command:
    @group.verb(action, f"pydock {action} web", f"pydock {action} web db --wait --timeout 30s")
    @session.namespace_option
    @click.argument(
        "names", nargs=-1, required=True, metavar="NAME... | KIND NAME...", shell_complete=completing.containers
    )
    @click.option("--wait", is_flag=True, help="Wait until it has taken effect.")
    @params.timeout_option("5m")
    @click.pass_context
    def command(context: click.Context, names: tuple[str, ...], wait: bool, timeout: float) -> None:
        if not _each(context.obj, action, names, wait, timeout):
            context.exit(exits.FAILED)

    command.help = text
    return command


def _each(run: session.Session, action: api.Action, names: tuple[str, ...], wait: bool, timeout: float) -> bool:
    """Acts on all containers first, then waits for them; whether all went well."""
    done: list[tuple[targets.Target, dict[str, Any]]] = []
    failed = False
    for target in targets.containers(names):
        try:
            done.append((target, run.client.act(action, run.scope(target), target.name)))
            print(f"{target} {_DONE[action]}", flush=True)
        except (errors.NotFound, errors.Conflict, errors.Invalid) as error:
            report.error(error, str(target))
            failed = True
    end = waiting.deadline(timeout)
    for target, before in done if wait else ():
        try:
            waiting.until(run.client, target, run.scope(target), _GOALS[action](before), end)
        except (waiting.TimedOut, errors.Permanent, errors.NotFound, errors.Invalid) as error:
            report.error(error, str(target))
            failed = True
    return not failed


stop = _verb("stop", "Stop containers until they are started again. Their manifests stay as they are.")
start = _verb("start", "Start containers that were stopped by hand.")
restart = _verb("restart", "Restart containers in place. They keep their files and addresses.")
