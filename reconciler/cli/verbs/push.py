"""``pydock push``: one image, with its progress."""

from __future__ import annotations

import click

from reconciler.cli import completing, group, logins, session
from reconciler.cli.verbs import pull
from reconciler.model import references


@group.verb("push", "pydock push registry.example/team/app:1.2")
@click.argument("reference", metavar="REFERENCE", shell_complete=completing.images)
@click.pass_obj
def push(run: session.Session, reference: str) -> None:
    """Push one image to the registry that its reference names.

    'pydock image tag' gives an image such a reference. What the registry already has is not sent. A login for it is
    taken from docker's config.json, is used for this one push, and is not kept by the server.
    """
    progress = run.client.push(reference, logins.usable(references.parse(reference).registry))
    pull.follow("push", reference, progress)
