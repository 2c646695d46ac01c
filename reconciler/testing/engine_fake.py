"""An engine's end for tests of the API: handlers by job name over a real engine socket, a few objects in memory."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from reconciler import errors
from reconciler.ipc import Call, EngineServer
from reconciler.model.callers import Caller
from reconciler.requests import (
    archives,
    containers,
    declaration,
    images,
    logins,
    objects,
    records,
    registry,
    service,
    sources,
    system,
    table,
)

Handler = Callable[[Call, Any], None]
Object = dict[str, Any]
_IMAGE: Object = {
    "reference": "registry.example/web:1", "digest": "sha256:" + "0" * 64, "imageId": "sha256:" + "1" * 64, "size": 7,
    "shared": 3, "own": 4, "usedBy": [], "keptBy": [],
}  # fmt: skip


class FakeEngine:
    """Answers the jobs of the allow list from ``objects``; ``handlers`` overrides any by name.

    ``asked`` records (job, arguments as their type) of every call, ``callers`` who asked. ``serve`` starts on the
    controller's end of an engine socket."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.handlers: dict[str, Handler] = {}
        self.callers: list[Caller | None] = []
        self.asked: list[tuple[str, declaration.Request]] = []
        self.revision = 0
        self.ready = True
        self.watching: set[Call] = set()
        self.changed = threading.Condition()
        self._server: EngineServer | None = None

    def serve(self, control: socket.socket, **settings: Any) -> EngineServer:
        self._server = EngineServer(control, self._run, **settings)
        self._server.start()
        return self._server

    def put(self, kind: str, namespace: str, name: str, **spec: Any) -> Object:
        """Stores an object and tells the watchers."""
        with self.changed:
            self.revision += 1
            known = self.objects.get((kind, namespace, name))
            made = _object(kind, namespace, name, spec, self.revision)
            self.objects[kind, namespace, name] = made
            event = {"type": "MODIFIED" if known else "ADDED", "object": made}
            for call in list(self.watching):
                call.emit(event)
        return made

    def last(self, job: str) -> Any:
        """The arguments of the last call of ``job``."""
        return next(args for name, args in reversed(self.asked) if name == job)

    def _run(self, call: Call) -> None:
        args = msgspec.convert(call.args, table.ASKS[call.name].request)
        self.asked.append((call.name, args))
        self.callers.append(call.caller)
        handler = self.handlers.get(call.name) or getattr(self, f"_{call.name}")
        handler(call, args)

    def _find(self, kind: str, namespace: str, name: str) -> Object:
        found = self.objects.get((kind, namespace, name))
        if found is None:
            raise errors.NotFound(f"no {kind} {name!r}")
        return found

    def _get(self, call: Call, args: objects.Get) -> None:
        call.result(self._find(args.kind, args.namespace, args.name))

    def _list(self, call: Call, args: objects.List) -> None:
        items = [
            found
            for (kind, namespace, _), found in sorted(self.objects.items())
            if kind == args.kind and args.namespace in ("", namespace)
        ]
        call.emit({"revision": self.revision, "continue": ""})
        call.emit(items)

    def _watch(self, call: Call, args: objects.Watch) -> None:
        if 0 < args.revision < 5 and self.revision > 100:
            raise errors.Expired(f"revision {args.revision} is gone: the oldest is 5")
        call.started()
        with self.changed:
            for (kind, _, _), found in sorted(self.objects.items()):
                if kind == args.kind and args.revision == 0:
                    call.emit({"type": "ADDED", "object": found})
            self.watching.add(call)
        _wait(call, args.timeout)
        with self.changed:
            self.watching.discard(call)

    def _write(self, call: Call, args: objects.Write) -> None:
        document = args.document
        metadata = document["metadata"]
        key = (document["kind"], metadata.get("namespace", ""), metadata["name"])
        known = self.objects.get(key)
        if isinstance(args, objects.Post) and known:
            raise errors.Conflict(f"{key[0]} {key[2]!r} exists already")
        spec = document.get("spec", {})
        outcome = "created" if known is None else "unchanged" if known["spec"] == spec else "configured"
        if args.dry_run or outcome == "unchanged":
            written = known or _object(*key, spec, self.revision)
        else:
            written = self.put(*key, **spec)
        call.result({"object": written, "plan": {"steps": [{"action": "create"}]}, "outcome": outcome})

    _post = _put = _apply = _write

    def _patch(self, call: Call, args: objects.Patch) -> None:
        found = self._find(args.kind, args.namespace, args.name)
        spec = found["spec"] | args.patch.get("spec", {})
        written = found if args.dry_run else self.put(args.kind, args.namespace, args.name, **spec)
        call.result({"object": written, "plan": {"steps": []}, "outcome": "configured"})

    def _delete(self, call: Call, args: objects.Delete) -> None:
        found = self._find(args.kind, args.namespace, args.name)
        if args.uid and args.uid != found["metadata"]["uid"]:
            raise errors.Conflict(f"the uid is {found['metadata']['uid']}, not {args.uid}")
        if not args.dry_run:
            del self.objects[args.kind, args.namespace, args.name]
        call.result({"object": found, "plan": {"steps": [{"action": "remove"}]}})

    def _override(self, call: Call, args: containers.Act) -> None:
        call.result({"object": self._find("Container", args.namespace, args.name)})

    def _plan(self, call: Call, args: objects.Preview) -> None:
        call.result({"plan": {"steps": []}, "text": f"{len(args.documents)} documents\n"})

    def _logs(self, call: Call, args: containers.Logs) -> None:
        self._find("Container", args.namespace, args.name)
        call.started()
        for number in range(3):
            os.write(call.fds[0], f"line {number}\n".encode())
        if args.follow:
            _wait(call)

    def _events(self, call: Call, args: records.Events) -> None:
        call.result({"items": [{"key": args.key, "count": 1}]})

    def _jobs(self, call: Call, args: records.Jobs) -> None:
        call.result({"items": [{"key": args.key, "name": "create"}]})

    def _sources(self, call: Call, args: sources.Sources) -> None:
        call.result({"items": []})

    def _ack(self, call: Call, args: sources.Ack) -> None:
        call.result({"removed": ["container/default/web"]})

    def _pull_image(self, call: Call, args: registry.Pull) -> None:
        call.started()
        call.emit({"status": "Pulling", "layer": "a", "current": 1, "total": 2})
        call.emit({"status": "Done", "layer": "", "current": 0, "total": 0, "digest": "sha256:" + "0" * 64})

    def _push_image(self, call: Call, args: registry.Push) -> None:
        self._pull_image(call, registry.Pull(reference=args.reference))

    def _images(self, call: Call, args: images.Images) -> None:
        call.result({"items": [_IMAGE]})

    def _images_unused(self, call: Call, args: images.ImagesUnused) -> None:
        call.result({"items": [_IMAGE], "freed": 9})

    _image_remove = _images_unused

    def _image_inspect(self, call: Call, args: images.ImageInspect) -> None:
        call.result(_IMAGE)

    def _image_history(self, call: Call, args: images.ImageHistory) -> None:
        call.result({"digest": _IMAGE["digest"], "items": []})

    def _image_tree(self, call: Call, args: images.ImageTree) -> None:
        call.result({"items": [{"chainId": "", "parent": "", "size": 0, "images": [_IMAGE]}]})

    def _system_df(self, call: Call, args: system.SystemDf) -> None:
        call.result({"driver": "fake", "images": [_IMAGE], "containers": [], "logs": [], "leftovers": []})

    def _collectible(self, call: Call, args: system.Collectible) -> None:
        call.result({"items": [_IMAGE], "leftovers": [], "freed": 9, "lacking": 0})

    def _collect(self, call: Call, args: system.Collect) -> None:
        call.result({"removed": [_IMAGE["reference"]], "freed": 9})

    def _leftovers_remove(self, call: Call, args: system.LeftoversRemove) -> None:
        call.result({"items": [{"what": "blob", "name": "sha256:a", "size": 7}], "freed": 7})

    def _image_tag(self, call: Call, args: images.ImageTag) -> None:
        call.result(_IMAGE | {"reference": args.target})

    def _system_check(self, call: Call, args: system.SystemCheck) -> None:
        call.emit({"summary": {"damaged": 0, "repaired": 0}})
        call.result({})

    def _image_load(self, call: Call, args: archives.ImageLoad) -> None:
        self._receive(call, args.name)

    def _image_import(self, call: Call, args: archives.ImageImport) -> None:
        self._receive(call, args.reference)

    def _commit(self, call: Call, args: containers.Commit) -> None:
        call.started()
        call.emit({"reference": args.reference, "digest": "sha256:" + "0" * 64})
        call.result({"images": [args.reference]})

    def _receive(self, call: Call, name: str) -> None:
        with open(call.fds[0], "rb", closefd=False) as pipe:
            self.received = pipe.read()
        call.emit({"reference": name, "digest": "sha256:" + "0" * 64})
        call.result({"images": [name]})

    def _image_save(self, call: Call, args: archives.ImageSave) -> None:
        call.started()
        os.write(call.fds[0], " ".join(args.references).encode())
        call.result({})

    def _tags(self, call: Call, args: registry.Tags) -> None:
        call.result({"repository": args.repository, "tags": ["1", "2"]})

    def _search(self, call: Call, args: registry.Search) -> None:
        call.result({"items": []})

    def _auth(self, call: Call, args: registry.Auth) -> None:
        call.result({"registry": args.registry})

    def _login_keep(self, call: Call, args: logins.LoginKeep) -> None:
        call.result({"scope": args.scope})

    def _login_remove(self, call: Call, args: logins.LoginRemove) -> None:
        call.result({"scope": args.scope, "removed": True})

    def _logins(self, call: Call, args: logins.Logins) -> None:
        call.result({"items": []})

    def _version(self, call: Call, args: service.Version) -> None:
        call.result({"version": "0.0.0", "apiVersion": "pydock.dev/v1"})

    def _ping(self, call: Call, args: service.Ping) -> None:
        call.result({"ready": self.ready})

    def _commands(self, call: Call, args: service.Commands) -> None:
        call.result({"commands": sorted(table.ASKS)})


def _wait(call: Call, seconds: float = 0.0) -> None:
    """Until the caller leaves, or so long."""
    poll = select.poll()
    poll.register(call, select.POLLIN)
    poll.poll(seconds * 1000 or None)


def _object(kind: str, namespace: str, name: str, spec: Object, revision: int) -> Object:
    scope = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": "pydock.dev/v1",
        "kind": kind,
        "metadata": {"name": name, **scope, "uid": f"uid-{name}", "resourceVersion": str(revision), "generation": 1},
        "spec": spec,
        "status": {},
    }
