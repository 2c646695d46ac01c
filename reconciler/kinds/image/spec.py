"""What an Image's manifest says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from reconciler.kinds.base import values
from reconciler.kinds.base.document import Document
from reconciler.kinds.base.rules import Rule, Written
from reconciler.model import forms
from reconciler.model.fields import Field, Spec
from reconciler.model.findings import Finding, Path
from reconciler.model.keys import Key

_TYPE = Field(
    "Digest: the registry is asked every interval what the tag means; if that has changed, the image is pulled, and "
    "containers of that reference are made anew from it. SemVer: the registry is asked every interval for its tags; "
    "the reference stands for the highest version in the range, whatever the registry has under the reference itself. "
    "None: it stays at what it was when it was pulled."
)
_RANGE = Field(
    "With SemVer: which versions, in npm's words. Tags of three numbers count, with a v before them or without; those "
    "with a suffix such as -rc1 only if the range has one too.",
    expects="a range of versions such as 1.x, ^1.2, ~1.2.3 or '>=1.2 <2'",
    min_length=1,
    max_length=128,
    form=forms.version_range,
)
_INTERVAL = Field(
    "How often the registry is asked, a tenth more or less.",
    pattern="^[1-9][0-9]{0,5}(s|m|h|d)$",
    expects="a duration such as 30s, 15m, 6h or 1d",
    form=forms.interval,
)
_REFERENCE = values.image("What to pull: [registry/]repository[:tag][@digest].")
_PULL_POLICY = Field(
    "When its registry is asked. IfNotPresent: when the image is not here. Always: also when this object is new or has "
    "changed, and it is not ready before the registry has answered. Newer: as Always, but if the registry does not "
    "answer, the image that is here will do. Never: not at all.",
    in_place=True,
)
_PLATFORM = Field(
    "Which of several images the reference means, as os/architecture[/variant]; this host's when left out. An image "
    "for other machines is kept, and cannot be run.",
    pattern=r"^[a-z0-9]+/[a-z0-9]+(/[a-z0-9.]+)?$",
    expects="os/architecture[/variant] in Go's words, such as linux/amd64 or linux/arm/v7",
    max_length=64,
)
_UPDATE_POLICY = Field("Whether this object goes after its tag.", in_place=True)


class UpdatePolicy(Spec, frozen=True):
    """``interval``: a duration such as ``30m`` between two questions to the registry. ``range``: of versions, with
    ``SemVer`` and only there (``model.versions``)."""

    type: Annotated[Literal["None", "Digest", "SemVer"], _TYPE]
    range: Annotated[str | None, _RANGE] = None
    interval: Annotated[str, _INTERVAL] = "1h"


class ImageSpec(Spec, frozen=True):
    """``platform`` None means this host's, ``update_policy`` None that the tag is not asked for again."""

    reference: Annotated[str, _REFERENCE]
    pull_policy: Annotated[values.PullPolicy, _PULL_POLICY] = "IfNotPresent"
    platform: Annotated[str | None, _PLATFORM] = None
    update_policy: Annotated[UpdatePolicy | None, _UPDATE_POLICY] = None


def _range_with_semver(key: Key, spec: Written) -> Iterator[Finding]:
    policy = spec.get("updatePolicy") or {}
    path: Path = ("spec", "updatePolicy", "range")
    if policy.get("type") == "SemVer":
        if "range" not in policy:
            yield Finding(path[:-1], "SemVer needs a range beside it, such as 1.x")
        if "@" in spec.get("reference", ""):
            yield Finding(("spec", "reference"), "a digest is one image for ever: SemVer needs a reference without")
    elif "range" in policy and "type" in policy:
        yield Finding(path, f"only SemVer has a range: the type is {policy['type']}")


SPEC = ImageSpec
RULES: tuple[Rule, ...] = (_range_with_semver,)
DOCUMENT = Document(
    "An image to keep on this host, pulled before anything needs it.",
    Field("The image wanted.", later=("pullSecret", "imagePullSecrets")),
)
