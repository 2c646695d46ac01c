"""Which objects a command line names: ``KIND NAME…``, ``KIND/NAME…``, ``KIND,KIND`` and ``all``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import click

from reconciler import errors
from reconciler.model import kinds

ALL = "all"


class Target(NamedTuple):
    """``name`` empty means every object of ``kind``."""

    kind: kinds.Kind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind.singular}/{self.name}"


def parse(words: Sequence[str]) -> list[Target]:
    """The targets of ``words``. Raises ``click.UsageError``."""
    if not words:
        raise click.UsageError("Expected a KIND (containers, images, networks, all) or KIND/NAME.")
    if "/" in words[0]:
        return [_slashed(word) for word in words]
    found = _kinds(words[0])
    if len(words) == 1:
        return [Target(kind) for kind in found]
    return [Target(kind, name) for kind in found for name in words[1:]]


def named(words: Sequence[str]) -> list[Target]:
    """As ``parse``, but each target must have a name."""
    found = parse(words)
    if not all(target.name for target in found):
        raise click.UsageError(f"Expected KIND NAME or KIND/NAME: {words[0]!r} names no object.")
    return found


def container(word: str) -> str:
    """The name of a container given as ``web`` or ``container/web``."""
    before, slash, name = word.rpartition("/")
    if slash and _kind(before) != kinds.CONTAINER:
        raise click.UsageError(f"{word!r} is not a container.")
    return name


def _slashed(word: str) -> Target:
    kind, slash, name = word.partition("/")
    if not (kind and slash and name):
        raise click.UsageError(f"Expected KIND/NAME instead of {word!r}: it cannot be mixed with KIND NAME.")
    return Target(_kind(kind), name)


def _kinds(word: str) -> list[kinds.Kind]:
    if word.lower() == ALL:
        return list(reversed(kinds.KINDS))
    return [_kind(part) for part in word.split(",")]


def _kind(word: str) -> kinds.Kind:
    try:
        return kinds.find(word)
    except errors.Invalid as error:
        raise click.UsageError(f"{error.message}.") from None
