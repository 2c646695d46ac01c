"""``pydock diff``: the plan that applying manifests would carry out."""

from __future__ import annotations

import sys
from typing import Any

import click

from reconciler import errors
from reconciler.cli import documents, exits, group, output, params, report, session, table


@group.verb("diff", "pydock diff -f web.yaml", "pydock diff -f manifests/ && echo nothing to do")
@session.namespace_option
@params.files_option
@params.manager_option
@click.option("-o", "--output", "form", type=params.PLAIN, default=params.TABLE, help="Print the plan as a document.")
@click.pass_context
def diff(context: click.Context, names: tuple[str, ...], manager: str, form: params.Format) -> None:
    """Show the plan that apply would carry out.

    It is the plan that would run, and nothing is changed. Exits 0 if there is nothing to do; 1 if there is something,
    or if an object waits for something; 2 if the plan could not be made, or if apply would refuse a manifest.
    """
    try:
        planned = _plan(context.obj, names, manager)
    except (errors.PydockError, click.ClickException) as error:
        report.error(error)
        context.exit(exits.USAGE)
    if form.name:
        sys.stdout.write(output.value(planned.plan, form))
    else:
        text = table.clean_lines(planned.text)
        sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
    if planned.plan["steps"] or planned.plan.get("waits"):
        context.exit(exits.FAILED)


def _plan(run: session.Session, names: tuple[str, ...], manager: str) -> Any:
    loaded = documents.read(names)
    if loaded.problems:
        raise errors.Invalid(problems=loaded.problems)
    if not loaded.documents:
        raise errors.Invalid(f"{', '.join(names)}: there is no manifest in it")
    placed = [documents.placed(document, run.scope(document.target)) for document in loaded.documents]
    return run.client.plan(placed, manager)
