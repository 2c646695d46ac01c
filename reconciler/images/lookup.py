"""Which image of the graph a word means."""

from __future__ import annotations

import re

from reconciler import errors
from reconciler.model import references
from reconciler.model.view import ImageFacts
from reconciler.store.base import Session

#: a digest or an image id, or how one begins
_ID = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})")


def find(session: Session, text: str) -> list[ImageFacts]:
    """What ``text`` means: a reference, or a digest or image id (its first digits are enough), which stands for all
    references of that image.

    Raises ``NotFound``, ``Invalid`` for what can be neither, and ``Conflict`` when an id begins several images'.
    """
    wrong: errors.Invalid | None = None
    try:
        found = session.images.get(str(references.parse(text)))
    except errors.Invalid as error:
        found, wrong = None, error
    if found is not None:
        return [found]
    begun = _ID.fullmatch(text)
    if begun is None and wrong is not None:
        raise wrong
    rows = _begun(session, f"sha256:{begun[1]}") if begun is not None else []
    digests = sorted({facts.digest for facts in rows})
    if len(digests) > 1:
        raise errors.Conflict(f"{text} begins the ids of several images: {', '.join(digests)}; give more digits")
    if not rows:
        raise errors.NotFound(f"image {text} is not here: see 'pydock image ls'")
    return rows


def is_id(text: str) -> bool:
    """Whether ``text``, in which an image was found, may be a digest or an id, or how one begins."""
    return _ID.fullmatch(text) is not None


def _begun(session: Session, start: str) -> list[ImageFacts]:
    return [
        facts for facts in session.images.all() if facts.image_id.startswith(start) or facts.digest.startswith(start)
    ]
