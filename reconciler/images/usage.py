"""Who uses which image: from the store's relations alone, the disk is not read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler import errors
from reconciler.images.disk_sizes import Shares
from reconciler.model import kinds, references
from reconciler.model.keys import Key
from reconciler.model.view import ImageFacts
from reconciler.store.base import Session


class Users:
    """Who uses images: ``named`` by reference (live containers and Image objects that name it), ``made`` by image id
    (containers that were made from it, those being removed too: their root file system stands on its layers)."""

    def __init__(self, named: Mapping[str, Iterable[Key]], made: Mapping[str, Iterable[Key]]) -> None:
        self.named: dict[str, set[Key]] = {}
        self.made = {image_id: set(keys) for image_id, keys in made.items()}
        for written, keys in named.items():
            self.named.setdefault(str(references.parse(written)), set()).update(keys)

    def of(self, facts: ImageFacts) -> list[Key]:
        """Everybody who uses an image under this name, or was made from it."""
        return sorted(self.named.get(facts.reference, set()) | self.made.get(facts.image_id, set()))


#: for what is not there any more
NOBODY = Users({}, {})


def users(session: Session) -> Users:
    return Users(session.relations.named(), session.relations.made())


def tagged(facts: ImageFacts) -> bool:
    """Whether the image has this reference; one that lost its last is named by its digest."""
    return facts.reference != facts.digest


def shown(facts: ImageFacts, using: Users, layers: Shares) -> dict[str, Any]:
    """An image as the jobs tell of it; see ``requests.images.Images``."""
    keys = using.of(facts)
    return {
        "reference": facts.reference if tagged(facts) else "",
        "digest": facts.digest,
        "imageId": facts.image_id,
        "size": facts.size,
        "shared": layers.shared(facts.digest),
        "own": layers.own(facts.digest),
        "usedBy": [str(key) for key in keys if key.kind == kinds.CONTAINER.name],
        "keptBy": [str(key) for key in keys if key.kind == kinds.IMAGE.name],
    }


def check_free(session: Session, going: list[ImageFacts]) -> None:
    """Raises ``Conflict``, naming the users, unless these references can be forgotten.

    What was made from an image needs it under any name; what names a reference needs exactly that.
    """
    using = users(session)
    left = {facts.image_id for facts in session.images.all() if facts not in going}
    for facts in going:
        keys = set(using.named.get(facts.reference, set()))
        if facts.image_id not in left:
            keys |= using.made.get(facts.image_id, set())
        if keys:
            names = ", ".join(str(key) for key in sorted(keys))
            raise errors.Conflict(
                f"image {facts.reference} is used by {names}: delete or change {'that' if len(keys) == 1 else 'those'}"
                " first"
            )


def unused(session: Session, all_names: bool) -> list[ImageFacts]:
    """Every name of the images that nobody uses under any name, or names by a digest; without ``all_names`` only those
    that have no reference any more."""
    using = users(session)
    digests = {references.parse(reference).digest for reference in using.named} - {""}
    rows = session.images.all()
    used = {
        facts.digest for facts in rows if using.of(facts) or not digests.isdisjoint((facts.digest, facts.index_digest))
    }
    return [facts for facts in rows if facts.digest not in used and (all_names or not tagged(facts))]


def awaited(session: Session) -> bool:
    """Whether an object names an image that is not here."""
    present = {facts.reference for facts in session.images.all()}
    return not present.issuperset(Users(session.relations.named(), {}).named)
