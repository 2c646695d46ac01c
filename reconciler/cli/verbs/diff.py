"""``pydock diff``: the plan that applying manifests would carry out."""

from __future__ import annotations

import sys
from typing import Any

import click

from reconciler import errors
from reconciler.cli import documents, exits, group, output, params, report, session


@group.verb("diff", "pydock diff -f web.yaml", "pydock diff -f manifests/ && echo nothing to do")
@session.namespace_option
@params.files_option
@params.manager_option
@click.option("-o", "--output", "form", type=params.PLAIN, default=params.TABLE, help="The plan as a document.")
@click.pass_context
def diff(context: click.Context, names: tuple[str, ...], manager: str, form: params.Format) -> None:
    """Show the plan that apply would carry out.

    It is the plan that would run, and nothing is changed. Exits 0 if there is nothing to do, 1 if there is something,
    2 if the plan could not be made.
    """
    try:
        planned = _plan(context.obj, names, manager)
    except (errors.PydockError, click.ClickException) as error:
        report.error(error)
        context.exit(exits.USAGE)
    if form.name:
        sys.stdout.write(output.value(planned.plan, form))
    else:
        sys.stdout.write(planned.text if planned.text.endswith("\n") or not planned.text else planned.text + "\n")
    if planned.plan["steps"]:
        context.exit(exits.FAILED)


def _plan(run: session.Session, names: tuple[str, ...], manager: str) -> Any:
    loaded = documents.read(names)
    if loaded.problems:
        raise errors.Invalid(problems=loaded.problems)
    return run.client.plan([documents.placed(document, run.namespace) for document in loaded.documents], manager)
