"""``pydock events``: what happened, oldest first."""

from __future__ import annotations

import sys

import click

from reconciler.cli import group, history, output, params, session, targets
from reconciler.model import keys


@group.verb("events", "pydock events", "pydock events --for container/web")
@session.namespace_option
@params.about_options
@click.option(
    "-o", "--output", "form", type=params.PLAIN, default=params.TABLE, help="Output format; a table by default."
)
@click.pass_obj
def events(run: session.Session, about: str, limit: int | None, form: params.Format) -> None:
    """Show what happened to objects, oldest first."""
    found = run.client.events(key(run, about), limit)
    if form.name:
        sys.stdout.write(output.value(found, form))
    elif found:
        sys.stdout.write(history.events(found, about=not about))
    else:
        print("No events found.", file=sys.stderr)


def key(run: session.Session, word: str) -> str:
    """The key's text of ``KIND/NAME``; empty for an empty word."""
    if not word:
        return ""
    target = targets.named([word])[0]
    return str(keys.Key.of(target.kind.name, target.name, run.scope(target)))
