"""What the planner is given: a key's closure of desired and observed state, and the moment."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.model.observed import Observed


class Moment(msgspec.Struct, frozen=True):
    """``mono`` is CLOCK_BOOTTIME and ``wall`` Unix time, both in seconds; ``boot_id`` names this boot."""

    mono: float
    wall: float
    boot_id: str


class ImageFacts(msgspec.Struct, frozen=True):
    """An image that is complete in the graph. Digests are ``sha256:…``; ``entrypoint``, ``cmd``, ``env``
    (``NAME=value``), ``working_dir``, ``user``, ``stop_signal`` and ``volumes`` (paths of directories that it wants to
    be there) are its configuration's. ``index_digest`` is that of what the registry had under the reference (the
    manifest's own, or an index's). It, ``platform`` and ``volumes`` are empty in old records."""

    reference: str
    digest: str
    image_id: str
    size: int
    chain_id: str
    layers: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    stop_signal: str = ""
    labels: dict[str, str] = {}
    index_digest: str = ""
    platform: str = ""
    volumes: tuple[str, ...] = ()


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One object: desired with what was observed of it (None before the first look)."""

    desired: Desired
    observed: Observed | None


def untouched(leaving: Iterable[Entry]) -> Entry | None:
    """Of the objects of one name that are being deleted, the latest one of which nothing was removed yet. If its name
    is declared again, it goes on as if it had never been deleted."""
    whole = [entry for entry in leaving if entry.observed is None or not entry.observed.torn]
    return max(whole, key=lambda entry: entry.desired.deleting_at or 0.0, default=None)


class View(msgspec.Struct, frozen=True):
    """One snapshot. ``live`` has at most one object for each key; ``terminating`` has those that are being removed, of
    which several may share a key. ``images`` maps normalised references to complete images, as far as the objects name
    them. ``referred`` holds those targets that plans ask about and that some object refers to; ``owners`` the uids of
    owners that are not being deleted. ``platform`` is this host's."""

    live: dict[Key, Entry]
    terminating: dict[Key, tuple[Entry, ...]]
    images: dict[str, ImageFacts]
    platform: str = ""
    referred: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()

    def at(self, key: Key) -> tuple[Entry, ...]:
        """All objects of that key: the live one, then those that are being removed."""
        live = self.live.get(key)
        return (*(() if live is None else (live,)), *self.terminating.get(key, ()))


DEFAULT_NETWORK = Key("Network", "default", "default")
