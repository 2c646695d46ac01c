"""Which image a container runs, and when its registry is asked."""

from __future__ import annotations

from typing import Annotated

from reconciler.kinds.base import values
from reconciler.model.fields import Field

Image = Annotated[str, values.image("The image to run: [registry/]repository[:tag][@digest].")]
ImagePullPolicy = Annotated[
    values.PullPolicy,
    Field(
        "When the image's registry is asked. IfNotPresent: when the image is not here. Always: each time before the "
        "container is made, which waits for the answer. Newer: as Always, but if the registry does not answer, the "
        "image that is here will do. Never: not at all.",
        in_place=True,
    ),
]
