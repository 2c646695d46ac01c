"""When a registry is asked what a tag means now, and what its answer changes. The answer and its time are kept in
observed state, so that nothing is asked again after a restart.
"""

from __future__ import annotations

import hashlib

from reconciler.kinds.image.observed import ImageObserved
from reconciler.model import durations
from reconciler.model.objects import Desired
from reconciler.model.view import Entry, ImageFacts, Moment

DEFAULT_INTERVAL = "1h"
#: the interval is up to this much shorter or longer, so that hosts with the same manifest do not all ask at once
_JITTER = 0.1
_POLICY = {"Image": "pullPolicy", "Container": "imagePullPolicy"}
#: fields of an Image that may give it something to do although its image is here
FIELDS = frozenset({"pullPolicy", "platform", "updatePolicy"})


def policy(desired: Desired) -> str:
    """``Always``, ``IfNotPresent``, ``Never`` or ``Newer``."""
    return str(desired.spec.get(_POLICY[desired.key.kind]) or "IfNotPresent")


def lack(reference: str, wanted: str) -> str:
    """Why an image that is not here is pulled; ``wanted`` is the range that its reference stands for."""
    return f"the image {reference}{f' (the highest version in {wanted})' if wanted else ''} is not here"


def asks_anew(desired: Desired, reference: str) -> bool:
    """Whether the registry is asked even if the image is here. What a digest means never changes."""
    return policy(desired) in ("Always", "Newer") and "@" not in reference


def follows(desired: Desired) -> bool:
    """Whether an Image follows its tag, or the versions of a range."""
    return (desired.spec.get("updatePolicy") or {}).get("type") in ("Digest", "SemVer")


def range_of(desired: Desired) -> str:
    """The range of versions whose highest the reference stands for; empty: it is a tag."""
    written = desired.spec.get("updatePolicy") or {}
    return str(written["range"]) if written.get("type") == "SemVer" else ""


def moved(facts: ImageFacts, latest: str) -> bool:
    """Whether the registry's last answer was another image than the one that is here."""
    return latest not in ("", facts.index_digest or facts.digest)


def due(entry: Entry, reference: str, now: Moment) -> float | None:
    """Seconds until the registry is asked about an Image again: 0 is now, None never.

    Within one boot by CLOCK_BOOTTIME, which nobody sets; across boots by the wall clock, and at once if that went back.
    """
    desired, observed = entry.desired, image_observed(entry)
    if (asks_anew(desired, reference) or range_of(desired)) and observed.asked_generation != desired.generation:
        return 0.0
    if not follows(desired) or "@" in reference:
        return None
    if not observed.asked_at:
        return 0.0
    same_boot = observed.asked_boot == now.boot_id
    passed = now.mono - observed.asked_mono if same_boot else now.wall - observed.asked_at
    return max(0.0, interval(desired) - passed) if passed >= 0 else 0.0


def interval(desired: Desired) -> float:
    """Seconds between two questions: what is written, a little shorter or longer for each object."""
    written = str((desired.spec.get("updatePolicy") or {}).get("interval") or DEFAULT_INTERVAL)
    drawn = int.from_bytes(hashlib.sha256(desired.uid.encode()).digest()[:4]) / 2**32
    return durations.seconds(written) * (1 - _JITTER + 2 * _JITTER * drawn)


def image_observed(entry: Entry) -> ImageObserved:
    return entry.observed if isinstance(entry.observed, ImageObserved) else ImageObserved()
