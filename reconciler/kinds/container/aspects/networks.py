"""The networks that a container is in."""

from __future__ import annotations

from typing import Annotated

from reconciler.kinds.base import values
from reconciler.model.fields import Field, Spec


class NetworkRef(Spec, frozen=True):
    name: Annotated[str, values.name("The network's name.")]


Networks = Annotated[
    tuple[
        Annotated[
            NetworkRef,
            Field(
                "One network of the container's namespace.",
                later=("aliases", "address", "ipv4Address", "mac"),
                short=((r"([a-z0-9-]+)", "name: \\1"),),
            ),
        ],
        ...,
    ],
    # the first one has the default route
    Field(
        "The networks to join, in order of interfaces; the network 'default' when left out.",
        max_items=16,
        keys=("name",),
        ordered=True,
    ),
]
