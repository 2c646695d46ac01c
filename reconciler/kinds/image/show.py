"""The status of an Image object as the API shows it."""

from __future__ import annotations

from typing import Any

from reconciler.kinds.image.observed import ImageObserved
from reconciler.model import times


def show(observed: ImageObserved) -> dict[str, Any]:
    return {
        "phase": observed.phase,
        "reference": observed.reference or None,
        "digest": observed.digest or None,
        "indexDigest": observed.index_digest or None,
        "imageID": observed.image_id or None,
        "platform": observed.platform or None,
        "latestTag": observed.latest_tag or None,
        "size": observed.size or None,
        "resolvedAt": times.known(observed.asked_at),
    }
