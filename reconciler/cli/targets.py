"""Which objects a command line names: ``KIND NAME…``, ``KIND/NAME…``, ``KIND/NAMESPACE/NAME…``, ``KIND,KIND``, ``all``.

Whatever pydock prints for an object, pydock reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import click

from reconciler import errors
from reconciler.cli import naming
from reconciler.model import kinds

ALL = "all"


class Target(NamedTuple):
    """``name`` empty means every object of ``kind``; ``namespace`` empty means that of the command line."""

    kind: kinds.Kind
    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind.singular, self.namespace, self.name) if part)


def parse(words: Sequence[str]) -> list[Target]:
    """The targets of ``words``. Raises ``click.UsageError``."""
    if not words or not words[0]:
        raise click.UsageError("Expected a KIND (containers, images, networks, all) or KIND/NAME.")
    if "/" in words[0]:
        return [_slashed(word) for word in words]
    found = _kinds(words[0])
    if len(words) == 1:
        return [Target(kind) for kind in found]
    return [Target(kind, _named(kind, name)) for kind in found for name in words[1:]]


def named(words: Sequence[str]) -> list[Target]:
    """As ``parse``, but each target must have a name."""
    found = parse(words)
    if not all(target.name for target in found):
        raise click.UsageError(f"Expected KIND NAME or KIND/NAME: {words[0]!r} names no object.")
    return found


def containers(words: Sequence[str]) -> list[Target]:
    """The containers of ``web db``, ``container/web``, ``container/default/web`` and ``container web db``.

    Raises ``click.UsageError``.
    """
    kind = _known(words[0]) if len(words) > 1 else None
    if kind is None:
        return [_container(word) for word in words]
    if kind != kinds.CONTAINER:
        raise click.UsageError(
            f"{words[0]!r} is a kind, and only containers can be named here: write container/{words[0]} for a "
            "container of that name."
        )
    return named(words)


def container(words: Sequence[str]) -> Target:
    """The only one of ``containers``."""
    found = containers(words)
    if len(found) != 1:
        raise click.UsageError(f"Expected one container, found {len(found)}.")
    return found[0]


def before_others(word: str) -> Target:
    """The container ``word`` that further words follow, which are no names: a bare kind would be a mistake."""
    if _known(word) is not None:
        raise click.UsageError(f"{word!r} is a kind: write container/NAME, here container/{word} if that is its name.")
    return _container(word)


def _container(word: str) -> Target:
    if "/" not in word:
        return Target(kinds.CONTAINER, _named(kinds.CONTAINER, word))
    found = _slashed(word)
    if found.kind != kinds.CONTAINER:
        raise click.UsageError(f"{word!r} is not a container.")
    return found


def _slashed(word: str) -> Target:
    kind, *parts = word.split("/")
    if not kind or not parts:
        raise click.UsageError(f"Expected KIND/NAME instead of {word!r}: it cannot be mixed with KIND NAME.")
    found = _kind(kind)
    if parts == [""]:
        raise click.UsageError(f"Expected KIND/NAME instead of {word!r}: the name is empty.")
    if len(parts) == 2 and found.namespaced:
        return Target(found, _named(found, parts[1]), _named(found, parts[0]))
    return Target(found, _named(found, "/".join(parts)))


def _named(kind: kinds.Kind, name: str) -> str:
    """``name``, if it can be one."""
    if not name:
        raise click.UsageError(f"The name of the {kind.singular} is empty.")
    if wrong := naming.problem(name):
        raise click.UsageError(f"{wrong}{_advice(kind, name)}.")
    return name


def _advice(kind: kinds.Kind, name: str) -> str:
    if kind == kinds.IMAGE and not name.isalnum():
        return "; 'pydock image inspect' takes a reference"
    return f"; KIND/NAME and {kind.singular} NAME cannot be mixed" if "/" in name else ""


def _kinds(word: str) -> list[kinds.Kind]:
    if word.lower() == ALL:
        return list(reversed(kinds.KINDS))
    return [_kind(part) for part in word.split(",")]


def _kind(word: str) -> kinds.Kind:
    try:
        return kinds.find(word)
    except errors.Invalid as error:
        raise click.UsageError(f"{error.message}.") from None


def _known(word: str) -> kinds.Kind | None:
    """The kind that ``word`` names, if it names one."""
    try:
        return kinds.find(word)
    except errors.Invalid:
        return None
