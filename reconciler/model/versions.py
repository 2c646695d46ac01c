"""Tags that are versions (https://semver.org), and ranges of them in the words of npm: ``1.x``, ``^1.2``, ``~1.2.3``,
``>=1.2 <2``, ``1.2 - 1.4``, ``1.2.x || 2.x``.

Only tags of three numbers are versions, with or without a ``v`` before them: ``1.27`` is a name that moves. A version
with a suffix (``1.3.0-rc1``) is older than the one without, and is in a range only if the range names a suffix with the
same three numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from reconciler import errors

if TYPE_CHECKING:
    from semantic_version import NpmSpec, Version


def check_range(text: str) -> str:
    """Returns ``text``; raises ``Invalid`` if it is no range."""
    _range(text)
    return text


def newest(tags: Iterable[str], wanted: str) -> str:
    """The tag of the highest version in the range ``wanted``; empty if there is none. Of two that mean the same version
    it is the one without ``v``. Raises ``Invalid`` if ``wanted`` is no range."""
    fitting, found = _range(wanted), [(version, tag) for tag in tags if (version := _version(tag)) is not None]
    return max(((version, len(tag) * -1, tag) for version, tag in found if version in fitting), default=("", 0, ""))[2]


def _range(text: str) -> NpmSpec:
    from semantic_version import NpmSpec

    try:
        if all(each.strip() for each in text.split("||")):  # nothing would mean everything
            return NpmSpec(text)
    except ValueError:
        pass
    raise errors.Invalid(f"{text!r} is no range of versions such as 1.x, ^1.2, ~1.2.3 or '>=1.2 <2'")


def _version(tag: str) -> Version | None:
    from semantic_version import Version

    try:
        return Version(tag.removeprefix("v"))
    except ValueError:
        return None
