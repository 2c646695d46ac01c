"""What is observed of an Image object."""

from __future__ import annotations

from reconciler.model.observed import Observed


class ImageObserved(Observed, frozen=True, gc=False, kw_only=True):
    """``reference`` is normalised; ``digest`` is the manifest's; ``index_digest`` that of what the reference named;
    ``image_id`` the config's. ``latest`` is the registry's last answer to what the reference means, with ``latest_tag``
    where that is the highest version of a range; ``asked_*`` say when it came and for which generation."""

    reference: str = ""
    digest: str = ""
    index_digest: str = ""
    image_id: str = ""
    platform: str = ""
    size: int = 0
    latest: str = ""
    latest_tag: str = ""
    asked_generation: int = 0
    asked_at: float = 0.0
    asked_mono: float = 0.0
    asked_boot: str = ""
