"""Who a container's program is, and what its host is called."""

from __future__ import annotations

from typing import Annotated

from reconciler.kinds.base import values
from reconciler.kinds.container.aspects.base import Arguments, Aspect, Run
from reconciler.model import forms
from reconciler.model.fields import Field


def _configure(run: Run) -> Arguments:
    user = run.spec.user
    return {"user": forms.user(user) if user is not None else run.image.user, "hostname": run.hostname}


ASPECT = Aspect("identity", _configure)

User = Annotated[
    str | None,
    Field(
        "Who runs the program: name or uid, then optionally ':' and group or gid; the image's when left out.",
        pattern="^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,31}(:[A-Za-z0-9_.][A-Za-z0-9_.-]{0,31})?$",
        expects="a user name or uid, then optionally ':' and a group name or gid, such as \"1000:1000\"",
        max_length=65,
        form=forms.user,
    ),
    ASPECT,
]
Hostname = Annotated[
    str | None, values.name("The host's name inside the container; the container's name when left out."), ASPECT
]
