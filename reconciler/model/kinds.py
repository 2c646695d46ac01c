"""The kinds of resources: their names in a URL and on a command line, and their scope."""

from __future__ import annotations

from typing import NamedTuple

from reconciler import errors

API_GROUP = "pydock.dev"
API_VERSION = "pydock.dev/v1"
DEFAULT_NAMESPACE = "default"


class Kind(NamedTuple):
    """``name`` as in manifests, ``plural`` as in URLs; ``namespaced`` False means host scope.

    A named tuple, not a msgspec type: the command line imports this, and msgspec costs it 8 ms at every start.
    """

    name: str
    plural: str
    singular: str
    namespaced: bool
    short: tuple[str, ...] = ()


IMAGE = Kind("Image", "images", "image", namespaced=False, short=("img",))
CONTAINER = Kind("Container", "containers", "container", namespaced=True, short=("ctr", "co"))
NETWORK = Kind("Network", "networks", "network", namespaced=True, short=("net",))

#: each may depend on those before it; a kind that owns others stands after them
KINDS: tuple[Kind, ...] = (
    IMAGE,
    NETWORK,
    CONTAINER,
)  # fmt: skip
_RANKS = {kind.name: rank for rank, kind in enumerate(KINDS)}
#: names kept for later: a manifest that uses one is told so
RESERVED: tuple[str, ...] = tuple(name for name in ("Volume", "Config", "Secret") if name not in _RANKS)

_BY_WORD = {word.lower(): kind for kind in KINDS for word in (kind.name, kind.plural, kind.singular, *kind.short)}


def rank(name: str) -> int:
    """The kind's place in the table."""
    return _RANKS[name]


def find(word: str) -> Kind:
    """The kind that ``word`` (kind, plural, singular or short name, any case) names.

    Raises ``errors.Invalid`` naming what is allowed.
    """
    kind = _BY_WORD.get(word.lower())
    if kind is None:
        known = ", ".join(kind.plural for kind in KINDS)
        raise errors.Invalid(f"unknown kind {word!r}: expected one of {known}")
    return kind
