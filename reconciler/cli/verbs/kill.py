"""``pydock kill``: a signal to a container's process, at once."""

from __future__ import annotations

import click

from reconciler import errors
from reconciler.cli import completing, exits, group, report, session, targets


@group.verb("kill", "pydock kill web", "pydock kill -s HUP web db")
@session.namespace_option
@click.argument(
    "names", nargs=-1, required=True, metavar="NAME... | KIND NAME...", shell_complete=completing.containers
)
@click.option("-s", "--signal", default="KILL", show_default=True, metavar="SIGNAL", help="The signal to send.")
@click.pass_context
def kill(context: click.Context, names: tuple[str, ...], signal: str) -> None:
    """Send a signal to the processes of containers.

    A container that ends by it is started again as its restart policy says: 'pydock stop' keeps it stopped.
    """
    run: session.Session = context.obj
    failed = False
    for target in targets.containers(names):
        try:
            run.client.kill(run.scope(target), target.name, signal)
            print(f"{target} killed", flush=True)
        except (errors.NotFound, errors.Conflict, errors.Invalid, errors.Permanent) as error:
            report.error(error, str(target))
            failed = True
    if failed:
        context.exit(exits.FAILED)
