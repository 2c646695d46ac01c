"""When a container's program is started: again after its end, and after what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from reconciler.kinds.base import values
from reconciler.kinds.base.rules import Written, entries
from reconciler.kinds.container.aspects.base import Aspect
from reconciler.model.fields import Field, Spec
from reconciler.model.findings import Finding
from reconciler.model.keys import Key


class Dependency(Spec, frozen=True):
    """Another container of the same namespace that must have started first."""

    name: Annotated[str, values.name("The container's name.")]
    condition: Annotated[Literal["Started"], Field("What to wait for.")] = "Started"


def _not_on_itself(key: Key, spec: Written) -> Iterator[Finding]:
    for index, dependency in entries(spec, "dependsOn"):
        if dependency["name"] == key.name:
            yield Finding(("spec", "dependsOn", index, "name"), "a container cannot depend on itself")


RestartPolicy = Annotated[
    Literal["Always", "OnFailure", "Never"],
    Field(
        "What happens when the program ends: Always starts it again, OnFailure if its exit code was not 0, Never "
        "leaves it.",
        in_place=True,
    ),
]
DependsOn = Annotated[
    tuple[Annotated[Dependency, Field("One dependency.", short=((r"([a-z0-9-]+)", "name: \\1"),))], ...],
    Field(
        "Containers of the same namespace that must have started before this one does.",
        in_place=True,
        max_items=256,
        keys=("name",),
    ),
    Aspect("dependsOn", rules=(_not_on_itself,)),
]
