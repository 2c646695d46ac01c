"""Steps of images: check, pull, forget."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from reconciler import errors, failpoints
from reconciler.drivers.registry.base import Registry
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.images import registry_access
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.kinds.image import tasks
from reconciler.kinds.image.effects import fetching
from reconciler.kinds.image.effects.observe import noted
from reconciler.kinds.image.observed import ImageObserved
from reconciler.model import kinds, references, versions
from reconciler.model.keys import Key
from reconciler.model.plan import Step
from reconciler.model.tasks import Task
from reconciler.model.view import Entry
from reconciler.store.base import Session


class _Unused(NamedTuple):
    """Blobs and chain ids that no image needs any more."""

    blobs: list[str]
    layers: list[str]


def claim(parts: Parts, session: Session, step: Step, entry: Entry) -> Task:
    """Nothing is written before the registry has answered."""
    return step.task


def claim_untag(parts: Parts, session: Session, step: Step, entry: Entry) -> _Unused:
    """Forgets a reference, and says what no other image needs; ``keep`` leaves the image. The object goes too if it is
    being deleted.

    Raises ``Outdated`` if somebody has come to need the image since the plan was made.
    """
    assert isinstance(step.task, tasks.Untag)
    unused = _Unused([], [])
    if not step.task.keep:
        if user := _user(session, step.uid, step.task.reference):
            raise errors.Outdated(f"image {step.task.reference} is used by {user} by now")
        unused = _Unused(*session.images.remove(step.task.reference))
    if step.desired.deleting_at is not None:
        session.objects.purge(step.uid)
    elif isinstance(entry.observed, ImageObserved):
        session.observed.put(step.uid, noted(entry.observed, None))
    return unused


def untag(parts: Parts, job: Job, unused: _Unused) -> None:
    """Removes what is not needed."""
    failpoints.hit("untag.record.after")
    parts.images.leftovers.discard(unused)
    failpoints.hit("untag.after")


def _user(session: Session, uid: str, reference: str) -> Key | None:
    """Another object that names the image, or a container that was made from it."""
    for key in session.objects.naming(references.spellings(reference)):
        live = session.objects.live(key)
        if live is not None and live.uid != uid:
            return key
    facts = session.images.get(reference)
    made = session.relations.made().get(facts.image_id, []) if facts is not None else []
    return made[0] if made else None


def check(parts: Parts, job: Job, task: tasks.Check) -> str:
    """Asks the registry what a reference means now, and records the answer. The next plan decides what follows from
    it."""
    reference = references.parse(task.reference)
    failpoints.hit("check.before")
    wanted = task.range
    with registry_access.acting(parts.images, reference, None, own=True) as registry:
        if wanted:
            digest, tag = _highest(parts, job.uid, registry, reference, wanted)
        else:
            digest, tag = registry.head(reference), ""
    _note_asked(parts, job.uid, digest, tag)
    failpoints.hit("check.after")
    return digest


def _highest(
    parts: Parts, uid: str, registry: Registry, reference: references.Reference, wanted: str
) -> tuple[str, str]:
    """Digest and tag of the highest version in the range ``wanted``. If the registry no longer has a higher one, it is
    the one that was known before: no image goes back because a tag was removed."""
    tags = registry.tags(reference)
    with parts.store.snapshot() as session:
        found = session.observed.get(uid)
    if isinstance(found, ImageObserved) and found.index_digest and found.latest == found.index_digest:
        former = found.latest_tag
        if former not in tags and former and versions.newest([*tags, former], wanted) == former:
            return found.latest, former
    source = _of_range(reference, tags, wanted)
    return registry.head(source), source.tag


def _of_range(reference: references.Reference, tags: list[str], wanted: str) -> references.Reference:
    tag = versions.newest(tags, wanted)
    if not tag:
        raise errors.NotFound(
            f"image {reference}: none of the {len(tags)} tags of {reference.name} is a version in the range {wanted}: "
            f"'pydock search --list-tags {reference.name}' shows them"
        )
    return msgspec.structs.replace(reference, tag=tag)


def pull(parts: Parts, job: Job, task: tasks.Pull) -> str:
    """Makes the image complete in the graph and records its relations, unless another has done so meanwhile."""
    parsed, platform, wanted, tag = references.parse(task.reference), task.platform, task.range, ""
    with parts.images.locks.hold(str(parsed)):
        with parts.store.snapshot() as session:
            known = session.images.get(str(parsed))
        fresh = known is None or known.digest == task.replaces
        if known is None or fresh:
            with registry_access.acting(parts.images, parsed, None, own=True) as registry:
                source = _of_range(parsed, registry.tags(parsed), wanted) if wanted else parsed
                known = fetching.fetch(parts, job.number, registry, parsed, job.stopping, platform, source)
                tag = source.tag if wanted else ""
    if fresh or not wanted:  # which version an image is that came in another way, only the registry can tell
        _note_asked(parts, job.uid, known.index_digest, tag)
    return known.digest


def _note_asked(parts: Parts, uid: str, digest: str, tag: str = "") -> None:
    """Records what the registry has answered, and when, in the object that it was asked for. ``tag`` is that of the
    highest version, if a version was asked for."""
    now = parts.clock.now()
    with parts.store.transaction(durable=False) as session:
        desired, found = session.objects.get(uid), session.observed.get(uid)
        if desired is None:
            return
        if desired.key.kind == kinds.CONTAINER.name:
            seen = found if isinstance(found, ContainerObserved) else ContainerObserved()
            session.observed.put(uid, msgspec.structs.replace(seen, asked=desired.generation, latest=digest))
            return
        image = found if isinstance(found, ImageObserved) else ImageObserved()
        fresh = msgspec.structs.replace(
            image, latest=digest, latest_tag=tag, asked_generation=desired.generation, asked_at=now.wall,
            asked_mono=now.mono, asked_boot=now.boot_id,
        )  # fmt: skip
        session.observed.put(uid, fresh)


def told_pull(job: Job) -> str:
    assert isinstance(job.task, tasks.Pull)
    return f"image {job.task.reference} pulled" if job.result else f"pulling image {job.task.reference}"
