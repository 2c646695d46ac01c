"""Environment variables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from reconciler.kinds.base.rules import Written, entries
from reconciler.kinds.container.aspects.base import Arguments, Aspect, Run
from reconciler.model import forms
from reconciler.model.fields import Field, Spec
from reconciler.model.findings import Finding
from reconciler.model.keys import Key

_DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class EnvVar(Spec, frozen=True):
    name: Annotated[
        str,
        Field(
            "The variable's name.",
            pattern="^[A-Za-z_][A-Za-z0-9_.-]*$",
            expects="a letter or '_', then letters, digits, '_', '.' and '-'",
            min_length=1,
            max_length=1024,
        ),
    ]
    value: Annotated[str, Field("The variable's value, taken as it is.", max_length=forms.MAX_ARGUMENT)] = ""


def _configure(run: Run) -> Arguments:
    """PATH and HOSTNAME unless set, then the image's, then the manifest's, later ones winning."""
    merged: dict[str, str] = {}
    for entry in (_DEFAULT_PATH, f"HOSTNAME={run.hostname}", *run.image.env):
        name, _, value = entry.partition("=")
        merged[name] = value
    merged.update((variable.name, variable.value) for variable in run.spec.env)
    return {"env": tuple(f"{name}={value}" for name, value in merged.items())}


def _not_too_long(key: Key, spec: Written) -> Iterator[Finding]:
    for index, variable in entries(spec, "env"):
        if len(variable["name"]) + 1 + len(variable.get("value", "").encode()) > forms.MAX_ARGUMENT:
            said = f"longer than {forms.MAX_ARGUMENT} bytes, the kernel's limit for one variable"
            yield Finding(("spec", "env", index), said)


Env = Annotated[
    tuple[
        Annotated[
            EnvVar,
            Field(
                "One environment variable.",
                later=("valueFrom",),
                short=((r"([A-Za-z_][A-Za-z0-9_.-]*)=(.*)", 'name: \\1 and value: "\\2"'),),
            ),
        ],
        ...,
    ],
    Field("Environment variables, beside those of the image.", max_items=4096, keys=("name",)),
    Aspect("env", _configure, rules=(_not_too_long,)),
]
