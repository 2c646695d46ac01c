"""Whom an Image object refers to, and whose references its plan asks for."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds.image import plan
from reconciler.model import references
from reconciler.model import refs as to
from reconciler.model.objects import Desired
from reconciler.model.refs import Ref
from reconciler.model.view import Entry

#: the role in which an Image object refers to an image
KEEPS = "keeps"


def refs(desired: Desired) -> Iterator[Ref]:
    """The image that it keeps."""
    yield to.of_image(KEEPS, references.normalised(str(desired.spec["reference"])))


def images(entry: Entry) -> Iterator[str]:
    """The reference it keeps, and the one that it kept."""
    yield references.normalised(str(entry.desired.spec["reference"]))
    if former := plan.leaving(entry):
        yield former


def users(entry: Entry) -> Iterator[str]:
    """Before its image may be removed: everything that names it or was made from it."""
    former = plan.leaving(entry)
    if former:
        yield to.image_target(former)
        image_id = getattr(entry.observed, "image_id", "")
        if image_id:
            yield to.image_id_target(image_id)
