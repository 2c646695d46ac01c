"""What a host's owner may say about the graph: a driver's name, and options as ``KEY=VALUE`` words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from reconciler import errors
from reconciler.drivers.graph import extraction, table
from reconciler.model import quantity

#: names that docker and podman have for a driver of ours
_ALIASES = {"overlay2": "overlay"}
#: drivers that there once were, or elsewhere are, and what takes their place
_RETIRED = {"aufs": "overlay", "devicemapper": "overlay", "fuse-overlayfs": "overlay"}
_NOT_YET = ("zfs",)
_COUNT = re.compile(r"[0-9]{1,12}")


class Options(NamedTuple):
    """``limits``: the quota of one layer. ``own``: key and value of options that are one driver's alone."""

    limits: extraction.Limits = extraction.Limits()
    own: tuple[tuple[str, Any], ...] = ()

    def value(self, key: str, default: Any) -> Any:
        """The value of such an option."""
        return dict(self.own).get(key, default)


def driver(name: str) -> str:
    """Our name of a storage driver. Raises ``Invalid`` for one that there is not (any more), with what to choose
    instead."""
    found = _ALIASES.get(name, name)
    if found in table.DRIVERS:
        return found
    known = f"expected one of {', '.join(table.DRIVERS)}"
    if found in _RETIRED:
        raise errors.Invalid(f"storage driver {name!r} is retired: its successor is {_RETIRED[found]!r}")
    if found in _NOT_YET:
        raise errors.Invalid(f"storage driver {name!r} is not yet supported: {known}")
    raise errors.Invalid(f"unknown storage driver {name!r}: {known}")


def parse(words: Sequence[str]) -> Options:
    """Options from ``KEY=VALUE`` words; of two with one key the later counts. Raises ``Invalid``."""
    options = Options()
    for word in words:
        key, equals, value = word.partition("=")
        own = _own(key)
        if not equals or (key not in _KEYS and own is None):
            raise errors.Invalid(f"storage option {word[:200]!r}: expected KEY=VALUE with a key out of {_known()}")
        try:
            if own is not None:
                options = options._replace(own=(*options.own, (key, own(value))))
            else:
                options = _KEYS[key](options, value)
        except errors.Invalid as error:
            raise errors.Invalid(f"storage option {key}: {error.message}") from None
    return options


def check_driver(options: Options, name: str) -> None:
    """Raises ``Invalid`` if an option is given that is another driver's: none is accepted and ignored."""
    for key, _ in options.own:
        theirs = key.partition(".")[0]
        if theirs != name:
            raise errors.Invalid(f"storage option {key} is the {theirs} driver's, but this graph's is {name}")


def _own(key: str) -> Callable[[str], Any] | None:
    """What reads the value of an option that is one driver's: ``NAME.KEY``."""
    name, dot, _ = key.partition(".")
    return table.options(name).get(key) if dot and name in table.DRIVERS else None


def _known() -> str:
    return ", ".join([*_KEYS, *(key for name in table.DRIVERS for key in table.options(name))])


def _bytes(options: Options, value: str) -> Options:
    return options._replace(limits=options.limits._replace(bytes=quantity.to_bytes(value)))


def _entries(options: Options, value: str) -> Options:
    if not _COUNT.fullmatch(value) or not int(value):
        raise errors.Invalid(f"{value[:40]!r}: expected a number of files above 0")
    return options._replace(limits=options.limits._replace(entries=int(value)))


_KEYS: dict[str, Callable[[Options, str], Options]] = {
    "max-layer-bytes": _bytes,
    "max-layer-entries": _entries,
}
