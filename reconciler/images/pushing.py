"""Pushing an image: the blobs that the registry lacks, in parallel, then the manifest.

They go as they are in the store, packed as they came, so that digests stay the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from typing import NoReturn

from reconciler import errors, failpoints
from reconciler.drivers.graph import base as graphs
from reconciler.drivers.registry import base as registries
from reconciler.drivers.registry import manifests
from reconciler.images.stop import Stop, Stopped
from reconciler.model.references import Reference

#: status, digest of the blob (empty: the image), bytes so far, bytes in all
Progress = Callable[[str, str, int, int], None]

_TRIES = 4
#: seconds that an upload waits before it is tried again; a registry that asks for more ends the push
_PATIENCE = 10.0
_PIECE = 1 << 20
#: layers that their makers do not let others hand on (OCI image spec, layer.md, "Non-Distributable Layers")
_NOT_OURS = ("nondistributable.", "rootfs.foreign.")


def push(
    reference: Reference,
    digest: str,
    registry: registries.Registry,
    graph: graphs.Graph,
    *,
    elsewhere: Mapping[str, str] | None = None,
    bring: Callable[[registries.Descriptor], None] | None = None,
    progress: Progress | None = None,
    parallel: int = 3,
    stopping: threading.Event | None = None,
) -> None:
    """Gives the image whose manifest is ``digest`` to the reference's registry, under its tag, which is there when all
    blobs are. ``elsewhere``: digest of a blob → another repository of the registry that may have it.
    ``bring`` is asked for blobs that are not in the graph.

    Raises what the drivers raise, naming the reference; ``Temporary`` soon after ``stopping`` is set.
    """
    try:
        raw = graph.read_blob(digest, manifests.MAX_MANIFEST)
    except errors.NotFound:
        raise _missing(reference, digest) from None
    parsed = manifests.parse(raw, "")
    assert parsed.config is not None
    blobs = [blob for blob in (*parsed.layers, parsed.config) if not any(word in blob.media_type for word in _NOT_OURS)]
    job = _Job(reference, registry, graph, elsewhere or {}, bring, progress, stopping or threading.Event())
    try:
        job.blobs(list({blob.digest: blob for blob in blobs}.values()), parallel)
        job.manifest(raw, parsed.media_type)
    except Stopped:
        raise job.why() from None


def _missing(reference: Reference, digest: str) -> errors.NotFound:
    return errors.NotFound(f"image {reference}: its blob {digest} is not here any more: pull the image again")


class _Absent(Exception):
    """the graph has not got a blob that must be sent"""


class _Job:
    def __init__(
        self,
        reference: Reference,
        registry: registries.Registry,
        graph: graphs.Graph,
        elsewhere: Mapping[str, str],
        bring: Callable[[registries.Descriptor], None] | None,
        progress: Progress | None,
        stopping: threading.Event,
    ) -> None:
        self._bring = bring
        self._reference, self._registry, self._graph, self._elsewhere = reference, registry, graph, elsewhere
        self._progress, self._telling = progress, threading.Lock()
        self._stopping = stopping
        self._stop = Stop(stopping)
        self._cause: BaseException | None = None

    def blobs(self, blobs: list[registries.Descriptor], parallel: int) -> None:
        pool = futures.ThreadPoolExecutor(max(parallel, 1), thread_name_prefix="push")
        try:
            for blob in blobs:
                self._report("waiting", blob, 0)
            running = [pool.submit(self._blob, blob) for blob in blobs]
            for done in futures.as_completed(running):
                done.result()
        finally:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def manifest(self, raw: bytes, media_type: str) -> None:
        """After the last blob."""
        self._stop = Stop(self._stopping)
        failpoints.hit("push.manifest.before")
        self._tried(lambda: self._registry.push_manifest(self._reference, raw, media_type))
        failpoints.hit("push.manifest.after")

    def why(self) -> BaseException:
        """What made it stop."""
        given_up = f"image {self._reference}: the push was given up: pydockd is shutting down"
        return self._cause or errors.Temporary(given_up)

    def _blob(self, blob: registries.Descriptor) -> None:
        """What goes wrong with one ends all."""
        try:
            self._push(blob)
        except Stopped:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again when the others have ended
            self._give_up(error)

    def _give_up(self, cause: BaseException) -> NoReturn:
        self._cause = self._cause or cause
        self._stop.set()
        raise Stopped() from cause

    def _push(self, blob: registries.Descriptor) -> None:
        elsewhere = self._elsewhere.get(blob.digest, "")

        def attempt() -> registries.Pushed:
            return self._registry.push_blob(self._reference, blob, lambda: self._content(blob), elsewhere)

        try:
            pushed = self._tried(attempt)
        except _Absent:
            if self._bring is None:
                raise _missing(self._reference, blob.digest) from None
            self._report("fetching", blob, 0)
            self._bring(blob)
            pushed = self._tried(attempt)
        self._report(pushed, blob, blob.size)

    def _tried(self, action: Callable[[], registries.Pushed | None]) -> str:
        """A few times, if the registry is busy or the connection breaks."""
        for left in reversed(range(_TRIES)):
            if self._stop.is_set():
                break
            try:
                return action() or ""
            except errors.Temporary as error:
                if not left or error.delay > _PATIENCE:
                    raise
                if self._stop.wait(error.delay):
                    break
        raise Stopped()

    def _content(self, blob: registries.Descriptor) -> Iterator[bytes]:
        sent = 0
        if not self._graph.has_blob(blob.digest):
            raise _Absent
        with self._graph.open_blob(blob.digest) as file:
            while piece := file.read(_PIECE):
                if self._stop.is_set():
                    raise Stopped()
                yield piece
                sent += len(piece)
                self._report("uploading", blob, sent)
        if sent != blob.size:
            raise errors.Permanent(f"its blob {blob.digest} is damaged here: remove and pull the image again")

    def _report(self, status: str, blob: registries.Descriptor, sent: int) -> None:
        """One at a time. Whoever asked may have gone: then everything is given up."""
        if self._progress is None:
            return
        with self._telling:
            try:
                self._progress(status, blob.digest, sent, blob.size)
            except BaseException as error:  # noqa: BLE001 - as above
                self._give_up(error)
