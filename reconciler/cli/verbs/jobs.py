"""``pydock jobs``: the journal of what pydockd did, newest first."""

from __future__ import annotations

import sys

import click

from reconciler.cli import group, history, output, params, session
from reconciler.cli.verbs import events


@group.verb("jobs", "pydock jobs", "pydock jobs --for container/web --limit 10")
@session.namespace_option
@params.about_options
@click.option(
    "-o", "--output", "form", type=params.PLAIN, default=params.TABLE, help="Output format; a table by default."
)
@click.pass_obj
def jobs(run: session.Session, about: str, limit: int | None, form: params.Format) -> None:
    """Show what pydockd did and does, newest first."""
    found = run.client.jobs(events.key(run, about), limit)
    if form.name:
        sys.stdout.write(output.value(found, form))
    elif found:
        sys.stdout.write(history.jobs(found))
    else:
        print("No jobs found.", file=sys.stderr)
