"""How a container's program is asked to end."""

from __future__ import annotations

from typing import Annotated

from reconciler.model import forms
from reconciler.model.fields import Field

StopSignal = Annotated[
    str | int | None,
    Field(
        "The signal that asks the program to end, by name or number; the image's, else SIGTERM, when left out.",
        in_place=True,
        pattern="^([Ss][Ii][Gg])?[A-Za-z0-9]+([+-][0-9]+)?$",
        expects="a signal such as SIGTERM, TERM, 15 or SIGRTMIN+3",
        max_length=16,
        least=1,
        most=64,
        form=forms.signal,
    ),
]
TerminationGracePeriodSeconds = Annotated[
    int,
    Field("How long the program has to end after the stop signal, before SIGKILL.", in_place=True, least=0, most=86400),
]
