"""``pydock validate``: what is wrong with manifests, without any server."""

from __future__ import annotations

import click

from reconciler.cli import documents, exits, group, params, table


@group.verb("validate", "pydock validate -f manifests/", offline=True)
@params.files_option
@click.pass_context
def validate(context: click.Context, names: tuple[str, ...]) -> None:
    """Check manifests offline.

    Prints every problem of every file as FILE:LINE:COLUMN: FIELD: MESSAGE.
    """
    loaded = documents.read(names)
    for problem in loaded.problems:
        print(table.clean(str(problem)))
    if loaded.problems:
        context.exit(exits.FAILED)
    count = len(loaded.documents)
    print(f"{count} object{'' if count == 1 else 's'}, no problems")
