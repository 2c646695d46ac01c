"""Jobs that edit desired state: post, put, apply, patch, delete, and hand edits of containers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from reconciler import errors, failpoints, manifest, planner
from reconciler.engine import views
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.kinds import render
from reconciler.kinds.container import restarts
from reconciler.manifest import merge
from reconciler.model.keys import Key
from reconciler.model.objects import BUILTIN, OBJECT, TAKE_OVER, Desired, Document, Override, Owner, may_take_over
from reconciler.model.view import DEFAULT_NETWORK
from reconciler.requests import objects as asked
from reconciler.requests.containers import Act
from reconciler.store.base import Session

API = "api"
#: a document, checked, and as it came
Draft = tuple[Document, dict[str, Any]]
#: makes it from the live object, in the transaction that stores it: nothing is written in between
Make = Callable[[Session, Desired | None], Draft]


def post(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, asked.Post)
    document = manifest.check(request.document)

    def make(session: Session, live: Desired | None) -> Draft:
        if live is not None and live.owner.source != BUILTIN:
            raise errors.Conflict(f"{document.key} already exists (owned by {live.owner})")
        return document, request.document

    return _write(parts, document.key, make, request.manager, request.dry_run, applied=None)


def put(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, asked.Put)
    document = manifest.check(request.document)
    draft = document, request.document
    return _write(parts, document.key, lambda session, live: draft, request.manager, request.dry_run, applied=None)


def apply(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, asked.Apply)
    document = manifest.check(request.document)
    draft = document, request.document
    return _write(parts, document.key, lambda session, live: draft, request.manager, request.dry_run, applied=request)


def patch(parts: Parts, job: Job) -> dict[str, Any]:
    """A merge patch; ``metadata.resourceVersion`` in it is a precondition."""
    request = msgspec.convert(job.args, asked.Patch)
    key = Key.of(request.kind, request.name, request.namespace)

    def make(session: Session, live: Desired | None) -> Draft:
        if live is None:
            raise errors.NotFound(f"{key} not found")
        document = merge.merge_patch(session.rendered(live.uid), request.patch)
        if "resourceVersion" not in (request.patch.get("metadata") or {}):
            document["metadata"].pop("resourceVersion", None)
        checked = manifest.check(document)
        if checked.key != key:
            raise errors.Invalid(f"a patch cannot rename {key} to {checked.key}")
        return checked, document

    return _write(parts, key, make, request.manager, request.dry_run, applied=None)


def delete(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, asked.Delete)
    key = Key.of(request.kind, request.name, request.namespace)
    if request.dry_run:
        with parts.store.snapshot() as session:
            _, shown = _deletable(parts, session, key, request)
            return {"object": shown, "plan": plan_text(parts, session, {}, {key})["plan"]}
    with parts.store.transaction() as session:
        going = _hastened(session, key, request)
        live = going or _deletable(parts, session, key, request)[0]
        deleted = session.objects.mark_deleting(live.uid, parts.clock.now().wall, request.grace)
        answer = session.rendered(deleted.uid)
    failpoints.hit("delete.commit.after")
    parts.look([key])
    return {"object": answer, "plan": None}


def _hastened(session: Session, key: Key, request: asked.Delete) -> Desired | None:
    """The object that is being deleted already and is to end sooner; None if there is none, or a live one beside it."""
    if request.grace is None or session.objects.live(key) is not None:
        return None
    for entry in session.entries([key]):
        own = restarts.setting(entry.desired, None, "terminationGracePeriodSeconds")
        present = entry.desired.deleting_grace if entry.desired.deleting_grace is not None else own
        if request.grace < present:
            _check_delete(entry.desired, session.rendered(entry.desired.uid), request)
            return entry.desired
    return None


def _deletable(parts: Parts, session: Session, key: Key, request: asked.Delete) -> tuple[Desired, dict[str, Any]]:
    """The live object and how the API shows it, if it may be deleted as asked."""
    live = session.objects.live(key)
    if live is None:
        raise errors.NotFound(f"{key} not found")
    if live.owner.source not in (API, BUILTIN, OBJECT):
        raise errors.Conflict(f"{key} is owned by {live.owner}: remove it there, or it would come back")
    if live.owner.source == BUILTIN and (user := _user_of_default(session)):
        raise errors.Conflict(
            f"{key} is pydock's own and used by {user}: it goes with the last container; to change it, apply a Network "
            f"named {key.name!r}"
        )
    if wanting := next((file for sources in parts.sources if (file := sources.wanting(key))), ""):
        raise errors.Conflict(
            f"{key} is declared by {wanting} too, which would make it anew at once: remove it there first, or give it "
            f'the annotation {TAKE_OVER}: "true" there, and that file takes it over as it is'
        )
    shown = session.rendered(live.uid)
    _check_delete(live, shown, request)
    return live, shown


def _user_of_default(session: Session) -> Key | None:
    """A container that would have the instance's own network made anew."""
    found = session.objects.find(kind="Container")
    users = (each for each in found if each.deleting_at is None and DEFAULT_NETWORK in planner.dependencies(each))
    return next((each.key for each in users), None)


def act(parts: Parts, job: Job) -> dict[str, Any]:
    """Hand edits beside the owner's version: what a file says stays in the file."""
    request = msgspec.convert(job.args, Act)
    key = Key.of("Container", request.name, request.namespace)
    with parts.store.transaction() as session:
        live = session.objects.live(key)
        if live is None:
            raise errors.NotFound(f"{key} not found")
        present = live.override
        if request.action == "stop":
            wanted = Override(stopped=True, restart=present.restart)
        elif request.action == "start":
            wanted = Override(stopped=False, restart=present.restart + (0 if _runs(session, live) else 1))
        else:
            wanted = Override(stopped=False, restart=present.restart + 1)
        if wanted != present:
            session.objects.set_override(live.uid, wanted)
        answer = session.rendered(live.uid)
    parts.look([key])
    return {"object": answer}


def _runs(session: Session, live: Desired) -> bool:
    observed = session.observed.get(live.uid)
    return getattr(observed, "process", "") == "running"


def _write(
    parts: Parts, key: Key, make: Make, manager: str, dry_run: bool, applied: asked.Apply | None
) -> dict[str, Any]:
    """One write transaction (or none, for a dry run): claim, make, merge, admit, store."""
    if dry_run:
        with parts.store.snapshot() as session:
            live, _, merged = _prepare(session, key, make, manager, applied)
            would_be = drafted(parts, live, merged, Owner(API, manager))
            shown = plan_text(parts, session, {key: would_be}, set())
            return {
                "object": render.api_object(would_be, _observed(session, live)),
                "outcome": _outcome(live, would_be),
                "plan": shown["plan"],
            }
    with parts.store.transaction() as session:
        live, document, merged = _prepare(session, key, make, manager, applied)
        stored = _store(parts, session, live, merged, manager)
        if applied is not None:
            _remember(session, stored.uid, document, applied)
        failpoints.hit("apply.commit.before")
        answer = {"object": session.rendered(stored.uid), "outcome": _outcome(live, stored), "plan": None}
    failpoints.hit("apply.commit.after")
    if answer["outcome"] != "unchanged":
        parts.look([key])
    return answer


def _prepare(
    session: Session, key: Key, make: Make, manager: str, applied: asked.Apply | None
) -> tuple[Desired | None, Document, Document]:
    """The live object, the manager's document, and that merged with what others set."""
    live = session.objects.live(key)
    document, raw = make(session, live)
    check_claim(live, document, manager)
    check_revision(session, live, raw)
    merged = combined(session, live, document, applied) if applied is not None else document
    admit(session, {key: merged})
    return live, document, merged


def _store(parts: Parts, session: Session, live: Desired | None, merged: Document, manager: str) -> Desired:
    if live is None:
        return session.objects.create(
            merged.key, merged.labels, merged.annotations, merged.spec, Owner(API, manager), parts.clock.now().wall
        )
    owner = live.owner if live.owner.source == API else Owner(API, manager)
    if live.owner.source not in (API, BUILTIN):
        message = f"{owner} has taken it over from {live.owner}"
        now = parts.clock.now().wall
        session.events.record(str(live.key), live.uid, "Normal", "OwnerChanged", message, now)
    return session.objects.replace(live.uid, merged.labels, merged.annotations, merged.spec, owner)


def check_claim(live: Desired | None, document: Document, manager: str) -> None:
    """Refuses what a file owns: it is edited in the file, unless the document says that it takes the object over."""
    if live is None or live.owner.source in (API, BUILTIN) or may_take_over(document.annotations, live):
        return
    if live.owner.source == OBJECT:
        raise errors.Conflict(f"{live.key} is owned by {live.owner}, which made it: change {live.owner} instead")
    raise errors.Conflict(
        f"{live.key} is owned by {live.owner}; api manager {manager!r} cannot own it too: edit it there, or "
        f'take it over by the annotation {TAKE_OVER}: "true"'
    )


def check_revision(session: Session, live: Desired | None, raw: dict[str, Any]) -> None:
    wanted = str((raw.get("metadata") or {}).get("resourceVersion") or "")
    if not wanted:
        return
    present = str(session.rendered(live.uid)["metadata"]["resourceVersion"]) if live is not None else ""
    if wanted != present:
        raise errors.Conflict(
            f"the object has been modified: resourceVersion {wanted} was given, {present or 'none'} is present; "
            "read it again and repeat the change"
        )


def _check_delete(live: Desired, shown: dict[str, Any], request: asked.Delete) -> None:
    if request.uid and request.uid != live.uid:
        raise errors.Conflict(f"{live.key}: uid is {live.uid}, not {request.uid}")
    present = str(shown["metadata"]["resourceVersion"])
    if request.revision and request.revision != present:
        raise errors.Conflict(f"{live.key}: resourceVersion is {present}, not {request.revision}")


def _fields(document: Document) -> dict[str, Any]:
    return {"labels": document.labels, "annotations": document.annotations, "spec": document.spec}


def combined(session: Session, live: Desired | None, document: Document, request: asked.Apply) -> Document:
    """The manager's new version merged into the live object, three ways."""
    if live is None or live.owner.source != API:
        return document
    kind = document.key.kind
    others = session.objects.applied(live.uid)
    last = others.pop(request.manager, None)
    present = {"labels": live.labels, "annotations": live.annotations, "spec": live.spec}
    new = _fields(document)
    if not request.force and (clashes := merge.clashes(new, present, others, kind)):
        named = "; ".join(f"{clash.path} is set by manager {clash.manager!r}" for clash in clashes)
        raise errors.Conflict(f"{document.key}: {named}; force takes the fields over")
    return manifest.check(_envelope(document.key, merge.three_way(last, present, new, kind, others.values())))


def _remember(session: Session, uid: str, document: Document, request: asked.Apply) -> None:
    """What this manager applied; from others goes what it took over by force."""
    new = _fields(document)
    if request.force:
        for manager, applied in session.objects.applied(uid).items():
            kept = merge.without(applied, new, document.key.kind)
            if manager != request.manager and kept != applied:
                session.objects.set_applied(uid, manager, kept)
    session.objects.set_applied(uid, request.manager, new)


def _envelope(key: Key, fields: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": key.name, "labels": fields["labels"], "annotations": fields["annotations"]}
    if key.namespace:
        metadata["namespace"] = key.namespace
    return {"apiVersion": "pydock.dev/v1", "kind": key.kind, "metadata": metadata, "spec": fields["spec"]}


def drafted(parts: Parts, live: Desired | None, merged: Document, owner: Owner) -> Desired:
    if live is None:
        return Desired(
            key=merged.key, uid=f"new:{merged.key}", generation=1, revision=0, created_at=parts.clock.now().wall,
            labels=merged.labels, annotations=merged.annotations, spec=merged.spec, owner=owner,
        )  # fmt: skip
    generation = live.generation + (1 if merged.spec != live.spec else 0)
    return msgspec.structs.replace(
        live, labels=merged.labels, annotations=merged.annotations, spec=merged.spec, generation=generation
    )


def _outcome(live: Desired | None, stored: Desired) -> str:
    if live is None:
        return "created"
    same = (live.spec, live.labels, live.annotations, live.owner) == (
        stored.spec,
        stored.labels,
        stored.annotations,
        stored.owner,
    )
    return "unchanged" if same else "configured"


def _observed(session: Session, live: Desired | None) -> Any:
    return session.observed.get(live.uid) if live is not None else None


def admit(session: Session, wanted: dict[Key, Any]) -> None:
    """Refuses what could never work: a cycle of dependencies, with its path."""
    views.check_cycles(session, wanted)


def plan_text(parts: Parts, session: Session, wanted: dict[Key, Desired], deleting: set[Key]) -> dict[str, Any]:
    view, keys = views.hypothetical(parts, session, wanted, deleting)
    made = planner.plan(view, keys, parts.clock.now())
    return {"plan": planner.to_json(made), "text": planner.text(made)}
