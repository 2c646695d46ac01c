"""The planner's view of the store: a key with its closure, everything, or a state that is only asked about."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from reconciler import errors, planner
from reconciler.drivers.registry import manifests
from reconciler.engine.parts import Parts
from reconciler.model import kinds, references
from reconciler.model.keys import Key
from reconciler.model.objects import BUILTIN, Desired, Owner
from reconciler.model.view import DEFAULT_NETWORK, Entry, ImageFacts, View
from reconciler.store.base import Session

#: what this host runs
_PLATFORM = str(manifests.host_platform(os.uname().machine))


def closure(session: Session, keys: Iterable[Key]) -> View:
    """The given keys and, transitively, what their plans depend on. Whoever goes only when nobody uses it needs the
    whole view."""
    live: dict[Key, Entry] = {}
    terminating: dict[Key, tuple[Entry, ...]] = {}
    images = _images(session)
    asked: set[str] = set()
    todo, seen = list(keys), set[Key]()
    while todo:
        fresh = [key for key in dict.fromkeys(todo) if key not in seen]
        seen.update(fresh)
        todo = []
        for entry in session.entries(fresh):
            if planner.needs_users(entry):
                return whole(session)
            _place(entry, live, terminating)
            todo.extend(planner.dependencies(entry.desired))
            todo.extend(_keepers(session, entry.desired, asked))
    return View(live=_with_default(live), terminating=terminating, images=images, platform=_PLATFORM)


def _keepers(session: Session, desired: Desired, asked: set[str]) -> list[Key]:
    """The Image objects that keep the image which an object is made from, or is: they say when it is pulled, and for
    which platform. Nothing for a reference that was ``asked`` about before."""
    field = {kinds.CONTAINER.name: "image", kinds.IMAGE.name: "reference"}.get(desired.key.kind)
    if field is None:
        return []
    text = str(desired.spec[field])
    reference = references.normalised(text)
    if reference in asked:
        return []
    asked.add(reference)
    found = session.objects.naming(references.spellings(text))
    return [key for key in found if key.kind == kinds.IMAGE.name]


def whole(session: Session) -> View:
    """Everything there is."""
    live: dict[Key, Entry] = {}
    terminating: dict[Key, tuple[Entry, ...]] = {}
    for entry in session.entries():
        _place(entry, live, terminating)
    return View(live=_with_default(live), terminating=terminating, images=_images(session), platform=_PLATFORM)


def hypothetical(
    parts: Parts, session: Session, wanted: Mapping[Key, Desired], deleting: set[Key]
) -> tuple[View, list[Key]]:
    """The whole view as if ``wanted`` were stored and ``deleting`` were being deleted, and the keys to plan for."""
    view = whole(session)
    live = dict(view.live)
    terminating = dict(view.terminating)
    for key, desired in wanted.items():
        present = live.get(key)
        live[key] = Entry(desired=desired, observed=present.observed if present else None)
    for key in deleting:
        entry = live.pop(key, None)
        if entry is not None:
            gone = msgspec.structs.replace(entry.desired, deleting_at=parts.clock.now().wall)
            terminating[key] = (*terminating.get(key, ()), Entry(desired=gone, observed=entry.observed))
    keys = [*wanted, *sorted(deleting)]
    return msgspec.structs.replace(view, live=_with_default(live), terminating=terminating), keys


def check_cycles(session: Session, wanted: Mapping[Key, Any]) -> None:
    """Raises ``Invalid`` with the path if the containers' dependencies, with ``wanted`` in force, form a cycle. A cycle
    through one of them is found along their own dependencies."""
    edges = {key: _depends_on(key, document.spec) for key, document in wanted.items() if key.kind == "Container"}
    while fresh := {other for others in edges.values() for other in others} - edges.keys():
        edges.update(dict.fromkeys(fresh, ()))
        for entry in session.entries(fresh):
            if entry.desired.deleting_at is None:
                edges[entry.desired.key] = _depends_on(entry.desired.key, entry.desired.spec)
    path = planner.find_cycle(edges)
    if path and any(key in wanted for key in path):
        raise errors.Invalid("dependsOn forms a cycle: " + " → ".join(str(key) for key in path))


def _depends_on(key: Key, spec: Mapping[str, Any]) -> tuple[Key, ...]:
    return tuple(Key(key.kind, key.namespace, str(item["name"])) for item in spec.get("dependsOn") or ())


def _place(entry: Entry, live: dict[Key, Entry], terminating: dict[Key, tuple[Entry, ...]]) -> None:
    key = entry.desired.key
    if entry.desired.deleting_at is None:
        live[key] = entry
    else:
        terminating[key] = (*terminating.get(key, ()), entry)


def _images(session: Session) -> dict[str, ImageFacts]:
    return {facts.reference: facts for facts in session.images.all()}


def _with_default(live: dict[Key, Entry]) -> dict[Key, Entry]:
    """The instance's own network is made when the first container needs it: planning may count on it."""
    if DEFAULT_NETWORK in live or not any(key.kind == "Container" for key in live):
        return live
    default = Desired(
        key=DEFAULT_NETWORK,
        uid=f"new:{DEFAULT_NETWORK}",
        generation=1,
        revision=0,
        created_at=0.0,
        labels={},
        annotations={},
        spec={},
        owner=Owner(BUILTIN, "default"),
    )
    return {**live, DEFAULT_NETWORK: Entry(desired=default, observed=None)}
