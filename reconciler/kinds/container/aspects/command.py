"""What a container runs: program, arguments, and where it starts."""

from __future__ import annotations

from typing import Annotated

from reconciler.kinds.base import values
from reconciler.kinds.container.aspects.base import Arguments, Aspect, Run
from reconciler.model import forms
from reconciler.model.fields import Field

_MOST = 4096
_Argument = Annotated[str, Field("One argument, taken as it is.", max_length=forms.MAX_ARGUMENT, form=forms.argument)]


def _configure(run: Run) -> Arguments:
    cwd = forms.path(run.spec.working_dir) if run.spec.working_dir else run.image.working_dir or "/"
    return {"argv": argv(run), "cwd": cwd}


def argv(run: Run) -> tuple[str, ...]:
    """Kubernetes' rule: ``command`` replaces the entrypoint and drops the image's cmd, ``args`` replaces the cmd."""
    spec, image = run.spec, run.image
    if spec.command is not None:
        return spec.command + (spec.args or ())
    return image.entrypoint + (spec.args if spec.args is not None else image.cmd)


ASPECT = Aspect("command", _configure)

Command = Annotated[
    tuple[_Argument, ...] | None,
    Field("The program and its first arguments; replaces the image's entrypoint, and its cmd too.", max_items=_MOST),
    ASPECT,
]
Args = Annotated[
    tuple[_Argument, ...] | None,
    Field("Arguments after the command; replaces the image's cmd.", max_items=_MOST),
    ASPECT,
]
WorkingDir = Annotated[
    str | None,
    values.path("Where the program starts; the image's when left out. It is made if it is not there."),
    ASPECT,
]
