"""``pydock commit``: an image is made of a container."""

from __future__ import annotations

import click

from reconciler.cli import archives, changing, completing, group, session, table, targets


@group.verb(
    "commit",
    "pydock commit web registry.example/team/web:fixed -m 'configured by hand'",
    "pydock commit web web:2 -c 'CMD [\"/bin/serve\"]'",
)
@session.namespace_option
@click.argument("name", metavar="NAME", shell_complete=completing.containers)
@click.argument("reference", metavar="[REFERENCE]", required=False, default="")
@click.option("-c", "--change", "changes", multiple=True, metavar="INSTRUCTION", help=f"One of {changing.KNOWN}.")
@click.option("-m", "--message", metavar="TEXT", default="", help="A comment for the image's history.")
@click.option("-a", "--author", metavar="TEXT", default="", help="The author of the image.")
@click.pass_obj
def commit(
    run: session.Session, name: str, reference: str, changes: tuple[str, ...], message: str, author: str
) -> None:
    """Make an image of a container and its changed files.

    What has changed in the container's files becomes the top layer. The image runs as the container does, except for
    the variables of the manifest's env, which may be secrets. Mounts are not included. The container keeps running
    meanwhile: stop it first if its files must not change. Without REFERENCE the image has no name, and the next prune
    removes it.
    """
    target = targets.before_others(name)
    items = run.client.commit(
        run.scope(target), target.name, reference, changing.config(changes), author=author, message=message
    )
    for each in archives.follow("commit", items):
        named = "" if each["reference"] == each["digest"] else f"{table.clean(each['reference'])}: "
        print(f"{named}{each['digest']}")
