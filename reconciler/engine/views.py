"""The planner's view of the store: a key with its closure, everything, or a state that is only supposed."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from reconciler import errors, planner
from reconciler.drivers.registry import manifests
from reconciler.engine.parts import Parts
from reconciler.kinds import table
from reconciler.kinds.image.refs import KEEPS
from reconciler.model import refs
from reconciler.model.keys import Key
from reconciler.model.objects import BUILTIN, NEW, OBJECT, Desired, Owner
from reconciler.model.view import DEFAULT_NETWORK, Entry, ImageFacts, View, untouched
from reconciler.store.base import Session

#: what this host runs
_PLATFORM = str(manifests.host_platform(os.uname().machine))


def closure(session: Session, keys: Iterable[Key]) -> View:
    """The given keys and, transitively, what their plans depend on: what they name, the Image objects that keep their
    images, and whoever refers to what may go."""
    return _Loading(session).load(keys)


def whole(session: Session) -> View:
    """All objects and images."""
    live: dict[Key, Entry] = {}
    terminating: dict[Key, tuple[Entry, ...]] = {}
    for entry in session.entries():
        _place(entry, live, terminating)
    images = {facts.reference: facts for facts in session.images.all()}
    referred = _referred(session)
    owners = frozenset(entry.desired.uid for entry in live.values())
    return View(
        live=_with_default(live, referred), terminating=terminating, images=images, referred=referred, owners=owners,
        platform=_PLATFORM,
    )  # fmt: skip


def _referred(session: Session) -> frozenset[str]:
    """Whether anybody needs the instance's own network."""
    target = str(DEFAULT_NETWORK)
    return frozenset({target} if session.refs.some(target) else ())


class _Loading:
    """Builds one view. An index tells who refers to whom, so that only objects are read that a plan asks for."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._live: dict[Key, Entry] = {}
        self._terminating: dict[Key, tuple[Entry, ...]] = {}
        self._images: dict[str, ImageFacts] = {}
        self._asked: set[str] = set()
        self._owners: set[str] = set()

    def load(self, keys: Iterable[Key]) -> View:
        todo, seen, users = set(keys), set[Key](), set[Key]()
        while todo:
            seen |= todo
            entries = self._session.entries(todo)
            todo = {key for entry in entries for key in self._next(entry, users)} - seen
            for entry in entries:
                _place(entry, self._live, self._terminating)
        for entry in self._session.entries(users - seen):
            self._know_images(entry)
            _place(entry, self._live, self._terminating)
        referred = _referred(self._session)
        return View(
            live=_with_default(self._live, referred), terminating=self._terminating, images=self._images,
            referred=referred, owners=frozenset(self._owners), platform=_PLATFORM,
        )  # fmt: skip

    def _next(self, entry: Entry, users: set[Key]) -> Iterator[Key]:
        """The other keys that the plan of this object reads. Keys of which only the rows are needed are added to
        ``users``."""
        pure = table.pure(entry.desired.key.kind)
        yield from planner.dependencies(entry.desired)
        if entry.desired.owner.source == OBJECT:
            self._know_owner(entry.desired.owner.item)
        for reference in self._know_images(entry):
            yield from self._session.refs.live_to(refs.image_target(reference), KEEPS)
        for target in pure.users(entry):
            found = self._session.refs.to(target)
            if pure.moves_users(entry):
                yield from found
            users.update(found)

    def _know_owner(self, uid: str) -> None:
        owner = self._session.objects.get(uid)
        if owner is not None and owner.deleting_at is None:
            self._owners.add(uid)

    def _know_images(self, entry: Entry) -> list[str]:
        """References of images that the object names or was made from and that were not seen before. Notes what the
        graph has of them."""
        named = [each for each in table.pure(entry.desired.key.kind).images(entry) if each not in self._asked]
        self._asked.update(named)
        for reference in named:
            facts = self._session.images.get(reference)
            if facts is not None:
                self._images[reference] = facts
        return named


def hypothetical(
    parts: Parts, session: Session, wanted: Mapping[Key, Desired], deleting: set[Key]
) -> tuple[View, list[Key]]:
    """The whole view as if ``wanted`` were stored and ``deleting`` were being deleted, and the keys to plan for."""
    view = whole(session)
    live = dict(view.live)
    terminating = dict(view.terminating)
    for key, desired in wanted.items():
        leaving = terminating.get(key, ()) if table.pure(key.kind).revives else ()
        present = live.get(key) or untouched(leaving)
        if present is not None and key not in live:
            # it is declared again before anything of it was removed: its deletion is taken back
            terminating[key] = tuple(each for each in terminating[key] if each is not present)
            desired = msgspec.structs.replace(
                desired, uid=present.desired.uid,
                generation=present.desired.generation + (desired.spec != present.desired.spec),
            )  # fmt: skip
        live[key] = Entry(desired=desired, observed=present.observed if present else None)
    for key in deleting:
        entry = live.pop(key, None)
        if entry is not None:
            gone = msgspec.structs.replace(entry.desired, deleting_at=parts.clock.now().wall)
            terminating[key] = (*terminating.get(key, ()), Entry(desired=gone, observed=entry.observed))
    keys = [*wanted, *sorted(deleting)]
    owners = frozenset(entry.desired.uid for entry in live.values())
    return msgspec.structs.replace(view, live=_with_default(live, ()), terminating=terminating, owners=owners), keys


def check_cycles(session: Session, wanted: Mapping[Key, Any]) -> None:
    """Raises ``Invalid`` with the path if the order of objects, with ``wanted`` (objects or documents) in force, has a
    cycle. A cycle through one of them is found along their own dependencies."""
    edges = {key: _comes_after(document) for key, document in wanted.items()}
    while fresh := {other for others in edges.values() for other in others} - edges.keys():
        edges.update(dict.fromkeys(fresh, ()))
        for entry in session.entries(fresh):
            if entry.desired.deleting_at is None:
                edges[entry.desired.key] = _comes_after(entry.desired)
    path = planner.find_cycle(edges)
    if path and any(key in wanted for key in path):
        raise errors.Invalid("dependsOn forms a cycle: " + " → ".join(str(key) for key in path))


def _comes_after(wanted: Any) -> tuple[Key, ...]:
    """The objects that must come before ``wanted``, an object or a document."""
    return tuple(table.pure(wanted.key.kind).orders(wanted))


def _place(entry: Entry, live: dict[Key, Entry], terminating: dict[Key, tuple[Entry, ...]]) -> None:
    key = entry.desired.key
    if entry.desired.deleting_at is None:
        live[key] = entry
    else:
        terminating[key] = (*terminating.get(key, ()), entry)


def _with_default(live: dict[Key, Entry], referred: Container[str]) -> dict[Key, Entry]:
    """The instance's own network is made when the first container needs it: planning may count on it."""
    if DEFAULT_NETWORK in live:
        return live
    needed = str(DEFAULT_NETWORK) in referred
    if not needed and not any(DEFAULT_NETWORK in planner.dependencies(each.desired, live) for each in live.values()):
        return live
    default = Desired(
        key=DEFAULT_NETWORK, uid=f"{NEW}{DEFAULT_NETWORK}", generation=1, revision=0, created_at=0.0, labels={},
        annotations={}, spec={}, owner=Owner(BUILTIN, DEFAULT_NETWORK.name),
    )  # fmt: skip
    return {**live, DEFAULT_NETWORK: Entry(desired=default, observed=None)}
