"""What the graph has of an Image object's reference."""

from __future__ import annotations

import msgspec

from reconciler.engine.parts import Parts
from reconciler.kinds.image.observed import ImageObserved
from reconciler.model import references
from reconciler.model.view import Entry, ImageFacts


def observe(parts: Parts, entry: Entry, closely: bool) -> bool:
    """Records in observed state what the graph has, and returns whether anything has changed. While another reference
    is recorded, its image has still to be forgotten: that record stays until `untag` removes it.
    """
    uid, wanted = entry.desired.uid, str(references.parse(str(entry.desired.spec["reference"])))
    observed = entry.observed if isinstance(entry.observed, ImageObserved) else ImageObserved()
    if observed.reference not in ("", wanted):
        return False
    with parts.store.snapshot() as session:
        seen = noted(observed, session.images.get(wanted))
    if entry.observed is not None and seen == observed:
        return False
    with parts.store.transaction(durable=False) as session:
        if session.objects.get(uid) is None:
            return False
        found = session.observed.get(uid)
        present = found if isinstance(found, ImageObserved) else ImageObserved()
        seen = noted(present, session.images.get(wanted)) if present.reference in ("", wanted) else present
        session.observed.put(uid, seen)
        return seen != present


def noted(observed: ImageObserved, facts: ImageFacts | None) -> ImageObserved:
    if facts is None:
        return msgspec.structs.replace(
            observed, reference="", digest="", index_digest="", image_id="", platform="", size=0
        )
    return msgspec.structs.replace(
        observed, reference=facts.reference, digest=facts.digest, index_digest=facts.index_digest,
        image_id=facts.image_id, platform=facts.platform, size=facts.size,
    )  # fmt: skip
