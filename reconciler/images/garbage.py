"""Images that go by themselves: when the disk fills up, and when nobody has used them for long.

None that is used goes: by a container, stopped ones and those being removed too; by what an object names, under
whatever name or digest; while it is pulled; or soon after, for a container that is yet to be declared. What was least
recently used goes first. The plan is pure reading, so that it can be shown; what goes is looked at again in the
transaction that forgets it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from typing import Literal, NamedTuple

from reconciler import errors, failpoints
from reconciler.drivers.graph.measure import Space
from reconciler.images import disk_sizes, strays, usage
from reconciler.images.service import ImageService
from reconciler.model.collection import Policy
from reconciler.model.sizes import text
from reconciler.model.view import ImageFacts
from reconciler.store.base import Session

log = logging.getLogger("pydock.images")

#: the subject of events about the disk, which is no object's
SUBJECT = "system"
#: images that are forgotten in one transaction
_AT_ONCE = 8
_NAMED = 10


class Plan(NamedTuple):
    """``images`` by all their names, the least recently used first; ``old`` are the digests of those that go for their
    age. ``freed`` are bytes; ``lacking`` those that would still have to go."""

    images: tuple[ImageFacts, ...]
    old: frozenset[str]
    strays: strays.Strays
    freed: int
    lacking: int
    over: bool

    @property
    def empty(self) -> bool:
        return not (self.images or self.strays.size())


class Outcome(NamedTuple):
    images: tuple[ImageFacts, ...]
    freed: int


def mark(service: ImageService) -> None:
    """Notes that what is used is so now. What was never noted counts from now on, and so does what was used at a time
    that is yet to come: the clock was moved."""
    now = service.now()
    with service.store.snapshot() as session:
        used_at = session.relations.used_at()
        idle = {facts.digest for facts in usage.unused(session, True)}
    seen = [digest for digest, at in used_at.items() if digest not in idle or not 0 < at <= now]
    if seen:
        with service.store.transaction(durable=False) as session:
            session.relations.note_use(seen, now)


def plan(service: ImageService) -> Plan:
    """What would go now. Nothing for the disk's sake while what has gone before waits for the end of a pull."""
    policy, now, space = service.policy, service.now(), service.graph.space()
    with service.store.snapshot() as session:
        used_at = session.relations.used_at()
        idle = _idle(session, used_at, policy, now)
        awaited = usage.awaited(session)
    over = is_over(policy, space)
    held_up = service.leftovers.busy and service.leftovers.waiting
    need = _above(policy.low, space) if over and not held_up else 0
    # what a pull that failed has fetched stays for its next try
    found = strays.find(service) if need and not awaited else strays.NONE
    order = sorted({facts.digest for facts in idle}, key=lambda digest: (used_at[digest], digest))
    old = {digest for digest in order if policy.max_age and now - used_at[digest] >= policy.max_age}
    going, freed = _going(service, order if need or old else [], old, need, found.size())
    images = [facts for digest in going for facts in idle if facts.digest == digest]
    return Plan(tuple(images), frozenset(old.intersection(going)), found, freed, max(0, need - freed), over)


def _going(service: ImageService, order: list[str], old: set[str], need: int, freed: int) -> tuple[list[str], int]:
    """Those of ``order`` that are old, and then as many more as bring ``need`` bytes together with the ``freed`` ones;
    with what is free then."""
    going: list[str] = []
    if not order:
        return going, freed
    layers, blobs = disk_sizes.layers(service).freeing(order), disk_sizes.blobs(service).freeing(order)
    total = freed
    for digest, *found in zip(order, layers, blobs, strict=True):
        if digest not in old and total >= need:
            break
        going.append(digest)
        total = freed + sum(found)
    return going, total


def run(service: ImageService, stopping: threading.Event) -> Outcome:
    """Carries the present plan out, as far as the low mark; what it did is an event."""
    made = plan(service)
    layers, blobs = disk_sizes.layers(service), disk_sizes.blobs(service)
    _discard(service, [], [])
    if made.strays.size():
        strays.remove(service, made.strays)
    gone: list[ImageFacts] = []
    order = list(dict.fromkeys(facts.digest for facts in made.images))
    for start in range(0, len(order), _AT_ONCE):
        digests = order[start : start + _AT_ONCE]
        enough = made.old.isdisjoint(digests) and not _above(service.policy.low, service.graph.space())
        if enough or stopping.is_set():
            break
        gone += _take(service, digests)
    went = {facts.digest for facts in gone}
    done = Outcome(tuple(gone), made.strays.size() + layers.freed(went) + blobs.freed(went))
    if not made.empty:
        _tell(service, done)
    return done


def warn(service: ImageService, made: Plan) -> None:
    """Tells that the disk is over its mark and nothing can go."""
    if made.lacking and made.empty:
        _record(service, "Warning", "DiskPressure", pressure(service.policy))


def pressure(policy: Policy) -> str:
    """Without a number that changes: repeats are counted in one event."""
    return (
        f"the disk of the images is over its high mark of {policy.high:g}%, and no image can go: all are used, kept by "
        f"an object, or younger than {policy.min_age:g} s: see 'pydock system df'"
    )


def is_over(policy: Policy, space: Space) -> bool:
    return policy.high < 100 and space.used_percent >= policy.high


def _above(percent: float, space: Space) -> int:
    """Bytes by which more than ``percent`` of the disk are used."""
    return max(0, int(space.size - space.free - space.size * percent / 100))


def _idle(session: Session, used_at: Mapping[str, float], policy: Policy, now: float) -> list[ImageFacts]:
    """All names of the images that may go."""
    return [
        facts
        for facts in usage.unused(session, True)
        if used_at.get(facts.digest) and now - used_at[facts.digest] >= policy.min_age
    ]


def _take(service: ImageService, digests: Collection[str]) -> list[ImageFacts]:
    """Forgets images under all their names, and removes what they alone need; but not those that have come into use or
    are being pulled by now. Returns what went."""
    with ExitStack() as held:
        with service.store.snapshot() as session:
            names = sorted(facts.reference for facts in session.images.all() if facts.digest in digests)
        mine = {name for name in names if held.enter_context(service.locks.try_hold(name))}
        failpoints.hit("collect.before")
        with service.store.transaction() as session:
            gone = _free(session, service, digests, mine)
            removed = [session.images.remove(facts.reference) for facts in gone]
        failpoints.hit("collect.record.after")
        blobs, layers = ([name for each in removed for name in each[part]] for part in (0, 1))
        _discard(service, blobs, layers)
        failpoints.hit("collect.after")
    return gone


def _discard(service: ImageService, blobs: list[str], layers: list[str]) -> None:
    """What cannot be removed is tried again the next time, and stops nobody."""
    try:
        service.leftovers.discard((blobs, layers))
    except (errors.PydockError, OSError) as error:
        log.warning("what no image needs any more cannot be removed yet: %s", error)


def _free(session: Session, service: ImageService, digests: Collection[str], mine: Collection[str]) -> list[ImageFacts]:
    """Those that may still go, and under no name that somebody else works on."""
    idle = [
        facts
        for facts in _idle(session, session.relations.used_at(), service.policy, service.now())
        if facts.digest in digests
    ]
    busy = {facts.digest for facts in idle if facts.reference not in mine}
    return [facts for facts in idle if facts.digest not in busy]


def _tell(service: ImageService, done: Outcome) -> None:
    count = len({facts.digest for facts in done.images})
    names = [facts.reference for facts in done.images]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    what = f": {', '.join(names[:_NAMED])}{more}" if names else ""
    freed = f"{count} image{'' if count == 1 else 's'} removed, {text(done.freed)} freed{what}"
    _record(service, "Normal", "ImagesCollected", freed)


def _record(service: ImageService, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
    with service.store.transaction(durable=False) as session:
        session.events.record(SUBJECT, "", type, reason, message, service.now())
