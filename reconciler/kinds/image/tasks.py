"""What steps of images do. ``reference`` is normalised; ``range`` of versions is empty if it stands for a tag."""

from __future__ import annotations

from typing import ClassVar

from reconciler.model.tasks import Task


class Check(Task, frozen=True, omit_defaults=True):
    """Asks the registry what the reference means now."""

    action: ClassVar[str] = "check"
    slow: ClassVar[bool] = True
    learns: ClassVar[bool] = True
    reference: str
    range: str = ""


class Pull(Task, frozen=True, omit_defaults=True):
    """``replaces`` is the digest of an image that is here and is not the wanted one."""

    action: ClassVar[str] = "pull"
    slow: ClassVar[bool] = True
    learns: ClassVar[bool] = True
    reference: str
    platform: str = ""
    replaces: str = ""
    range: str = ""

    @property
    def shared(self) -> str:
        return self.reference


class Untag(Task, frozen=True):
    """Forgets the reference, and the image with it unless it is to ``keep``."""

    action: ClassVar[str] = "untag"
    reference: str
    keep: bool
