"""Pulling an image: manifest, configuration, layers in parallel, unpacked as they come and put on one another in order.

Two pulls that need the same blob or layer share it: the second waits, then finds it there. What is there already is
not fetched: neither blobs, nor those of layers that are unpacked. A download that breaks off goes on from where it was.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, NamedTuple

from reconciler import errors
from reconciler.drivers.graph import base as graphs
from reconciler.drivers.graph import chains
from reconciler.drivers.registry import base as registries
from reconciler.drivers.registry import manifests
from reconciler.images import image_config
from reconciler.images.stop import Stop, Stopped
from reconciler.images.unpack_ahead import Ahead
from reconciler.locks import KeyedLocks
from reconciler.model import platforms
from reconciler.model.references import Reference
from reconciler.model.view import ImageFacts

log = logging.getLogger("pydock.images")

#: status, digest of the layer (empty: the image), bytes so far, bytes in all
Progress = Callable[[str, str, int, int], None]

_TRIES = 4
#: seconds that a download waits before it goes on; a registry that asks for more gets the whole pull put off
_PATIENCE = 10.0
_REPORT = 1 << 20


class Pulled(NamedTuple):
    """``blobs``: digests of manifest, configuration and layers; ``chain``: chain ids, bottom first."""

    facts: ImageFacts
    blobs: tuple[str, ...]
    chain: tuple[str, ...]


def pull(
    reference: Reference,
    registry: registries.Source,
    graph: graphs.Graph,
    *,
    platform: str = "",
    admit: Callable[[registries.Manifest], None] = lambda manifest: None,
    progress: Progress | None = None,
    parallel: int = 3,
    stopping: threading.Event | None = None,
) -> Pulled:
    """Brings the image into the graph, complete when it returns: verified, unpacked, durable.

    ``platform`` is ``linux/arm64`` or the like, empty for this host's. ``admit`` raises for an image that may not come:
    nothing of it is fetched but its manifest. Raises what the drivers raise, naming the reference; ``Temporary`` soon
    after ``stopping`` is set.
    """
    report = progress or (lambda status, digest, current, total: None)
    with _only(graph, str(reference)):
        report("resolving", "", 0, 0)
        manifest = registry.resolve(reference, platform)
        admit(manifest)
        job = _Job(reference, registry, graph, manifest, report, stopping or threading.Event())
        try:
            config, made_for = job.config(platform)
            chain = chains.chain(config.diff_ids)
            size = job.layers(config.diff_ids, chain, parallel)
        except Stopped:
            raise errors.Temporary(f"image {reference}: the pull was given up: pydockd is shutting down") from None
        report("complete", "", size, size)
    blobs = (manifest.digest, manifest.config.digest, *(layer.digest for layer in manifest.layers))
    return Pulled(_facts(reference, manifest, config, made_for, chain, size), blobs, chain)


def fetch(
    reference: Reference,
    blob: registries.Descriptor,
    registry: registries.Source,
    graph: graphs.Graph,
    stopping: threading.Event,
    *,
    again: bool = False,
) -> None:
    """Brings one blob of an image that was pulled before into the graph, unless it is there (``again``: then too, in
    its place): a layer that had come in another packing was not fetched. Raises as ``pull`` does."""
    try:
        _Fetching(reference, registry, graph, lambda *_: None, stopping).fetch(blob, report=False, again=again)
    except Stopped:
        raise errors.Temporary(f"image {reference}: a blob was not fetched: pydockd is shutting down") from None


def unchanged(
    reference: Reference,
    registry: registries.Registry,
    graph: graphs.Graph,
    known: ImageFacts,
    chain: tuple[str, ...],
    platform: str = "",
) -> bool:
    """Whether ``known``, recorded under the reference with its ``chain`` of layers, is what a pull would bring, and is
    all here: one request tells. What the registry refuses or cannot tell is left to the pull."""
    small = (known.digest, known.image_id)
    if not (known.index_digest and known.platform and _is_for(known.platform, platform)):
        return False
    if not (all(graph.has_layer(each) for each in chain) and all(graph.has_blob(each) for each in small)):
        return False
    if not _is_read_alike(graph, known, len(chain)):
        return False
    try:
        return registry.head(reference) == known.index_digest
    except errors.Temporary:
        raise
    except errors.PydockError:
        return False


def _is_read_alike(graph: graphs.Graph, known: ImageFacts, layers: int) -> bool:
    """Whether the configuration still means what was recorded: an older pydock may have read it otherwise."""
    try:
        config = image_config.parse(graph.read_blob(known.image_id, image_config.MAX_BYTES), layers)
    except errors.PydockError:
        return False
    return _said(config) == {name: getattr(known, name) for name in _said(config)}


def _said(config: image_config.Config) -> dict[str, Any]:
    """What of a configuration is recorded as it is."""
    return {
        "entrypoint": config.entrypoint,
        "cmd": config.cmd,
        "env": config.env,
        "working_dir": config.working_dir,
        "user": config.user,
        "stop_signal": config.stop_signal,
        "labels": config.labels,
        "volumes": config.volumes,
    }


def _is_for(found: str, wanted: str) -> bool:
    """Whether an image for ``found`` need not be looked for again: where a variant is wanted, exactly that."""
    host = str(manifests.host_platform(os.uname().machine))
    return found == wanted if wanted.count("/") > 1 else platforms.same_machine(found, wanted or host)


def _facts(
    reference: Reference,
    manifest: registries.Manifest,
    config: image_config.Config,
    platform: str,
    chain: tuple[str, ...],
    size: int,
) -> ImageFacts:
    return ImageFacts(
        reference=str(reference),
        digest=manifest.digest,
        image_id=manifest.config.digest,
        size=size,
        chain_id=chain[-1] if chain else "",
        layers=tuple(layer.digest for layer in manifest.layers),
        index_digest=manifest.index_digest,
        platform=platform,
        **_said(config),
    )


class _Fetching:
    """Blobs of one image come into the graph."""

    def __init__(
        self,
        reference: Reference,
        registry: registries.Source,
        graph: graphs.Graph,
        report: Progress,
        stopping: threading.Event,
    ) -> None:
        self._reference, self._registry, self._graph, self._report = reference, registry, graph, report
        self._stop = Stop(stopping)

    def keep(self, digest: str, raw: bytes) -> None:
        with _only(self._graph, digest):
            if not self._graph.has_blob(digest):
                writer = self._graph.write_blob(digest, len(raw))
                writer.write(raw)
                writer.commit()

    def fetch(
        self,
        blob: registries.Descriptor,
        report: bool = True,
        again: bool = False,
        verified: Callable[[], None] = lambda: None,
    ) -> bool:
        """Brings a blob into the graph; whether it had to be fetched. ``verified`` is called when it can be unpacked,
        and is not synced yet."""
        with _only(self._graph, blob.digest):
            if not again and self._graph.has_blob(blob.digest):
                return False
            while not self._bring(blob, report, verified):
                continue
        return True

    def _bring(self, blob: registries.Descriptor, report: bool, verified: Callable[[], None]) -> bool:
        """Downloads and stores a blob; False if it was not what it should be, and there is somebody else to ask."""
        writer = self._graph.write_blob(blob.digest, blob.size)
        try:
            self._download(blob, writer, report)
            writer.verify()
            if report:
                self._report("downloaded", blob.digest, blob.size, blob.size)
            verified()
            writer.commit()
        except errors.PydockError as error:
            if isinstance(error, errors.Permanent) and self._registry.distrust(self._reference, blob.digest):
                return False
            if not error.message.startswith("image "):
                error.args = (f"image {self._reference}: {error.message}",)
            raise
        finally:
            writer.abort()
        return True

    def _download(self, blob: registries.Descriptor, writer: graphs.BlobWriter, report: bool) -> None:
        """Goes on after a break for as long as each try brings something, and a few times if it does not."""
        meter = _Meter(blob, writer, self._report if report else None, self._stop)
        failures = 0
        while True:
            before = writer.offset
            try:
                self._registry.fetch(self._reference, blob, before, meter)
                return
            except errors.Temporary as error:
                failures = 1 if writer.offset > before else failures + 1
                if failures >= _TRIES or error.delay > _PATIENCE:
                    raise
                if self._stop.wait(error.delay):
                    raise Stopped() from None


class _Coming(NamedTuple):
    """A layer's blob on its way. ``verified``: it can be unpacked (True: it had to be fetched). ``stored``: it is where
    it belongs, and synced."""

    verified: futures.Future[bool]
    stored: futures.Future[None]


class _Job(_Fetching):
    """One pull after its manifest is known."""

    def __init__(
        self,
        reference: Reference,
        registry: registries.Source,
        graph: graphs.Graph,
        manifest: registries.Manifest,
        report: Progress,
        stopping: threading.Event,
    ) -> None:
        super().__init__(reference, registry, graph, report, stopping)
        self._manifest = manifest
        self._ahead = Ahead(graph)

    def config(self, platform: str) -> tuple[image_config.Config, str]:
        """Stores manifest and configuration; returns the checked configuration, and what the image is for."""
        self.keep(self._manifest.digest, self._manifest.raw)
        self.fetch(self._manifest.config, report=False)
        raw = self._graph.read_blob(self._manifest.config.digest, image_config.MAX_BYTES)
        try:
            found = image_config.parse(raw, len(self._manifest.layers))
            return found, self._platform(found.platform, platform)
        except errors.Permanent as error:
            raise errors.Permanent(f"image {self._reference}: {error.message}") from None

    def _platform(self, said: manifests.Platform, wanted: str) -> str:
        found = image_config.is_for(said, wanted)
        if said.architecture and not platforms.same_machine(str(said), found):
            warning = f"it says that it is made for {said}; it is taken as one for {found}"
            log.warning("image %s: %s", self._reference, warning)
            self._report(f"Warning: {warning}", "", 0, 0)
        return found

    def layers(self, diff_ids: tuple[str, ...], chain: tuple[str, ...], parallel: int) -> int:
        """Fetches and unpacks what is missing; returns the bytes that all layers use. While a blob or a layer is
        synced, the next layer is unpacked."""
        pool = futures.ThreadPoolExecutor(max(parallel, 1), thread_name_prefix="pull")
        settling = futures.ThreadPoolExecutor(1, thread_name_prefix="pull-sync")
        try:
            fetched = [self._start(pool, index, diff_ids, chain) for index in range(len(chain))]
            size, settled = 0, []
            for index, chain_id in enumerate(chain):
                size += self._finish(index, fetched[index], diff_ids, chain)
                settled.append(settling.submit(self._settle, chain_id, fetched[index]))
            for done in settled:
                done.result()
            return size
        finally:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            self._ahead.close()
            settling.shutdown(wait=True)

    def _start(
        self, pool: futures.ThreadPoolExecutor, index: int, diff_ids: tuple[str, ...], chain: tuple[str, ...]
    ) -> _Coming | None:
        layer = self._manifest.layers[index]
        if self._graph.has_layer(chain[index]):
            self._report("exists", layer.digest, layer.size, layer.size)
            return None
        self._report("waiting", layer.digest, 0, layer.size)
        verified = futures.Future[bool]()

        def come(fresh: bool) -> None:
            self._ahead.begin(chain[index], chain[index - 1] if index else "", diff_ids[index], layer.digest)
            verified.set_result(fresh)

        return _Coming(verified, pool.submit(self._come, layer, verified, come))

    def _come(self, layer: registries.Descriptor, verified: futures.Future[bool], come: Callable[[bool], None]) -> None:
        try:
            if not self.fetch(layer, verified=lambda: come(True)):
                come(False)
        except BaseException as error:
            if not verified.done():
                verified.set_exception(error)
            raise

    def _finish(self, index: int, fetched: _Coming | None, diff_ids: tuple[str, ...], chain: tuple[str, ...]) -> int:
        """Waits for a layer's blob and unpacks it."""
        layer, parent = self._manifest.layers[index], chain[index - 1] if index else ""
        fresh = fetched.verified.result() if fetched else False
        with _only(self._graph, chain[index]):
            if fetched:
                self._report("unpacking", layer.digest, layer.size, layer.size)
            try:
                size = self._unpack(layer, chain[index], parent, diff_ids[index])
            except errors.Permanent:
                if fresh or fetched is None or not self._graph.check_blob(layer.digest):
                    raise
                self._graph.remove_blob(layer.digest)  # others may need it: only what is not itself any more
                self.fetch(layer)
                size = self._unpack(layer, chain[index], parent, diff_ids[index])
        if fetched:
            self._report("unpacked", layer.digest, layer.size, layer.size)
        return size

    def _unpack(self, layer: registries.Descriptor, chain: str, parent: str, diff_id: str) -> int:
        with self._named():
            return self._ahead.unpack(chain, parent, diff_id, layer.digest)

    def _settle(self, chain: str, fetched: _Coming | None) -> None:
        """A layer is there when its blob is."""
        if fetched:
            fetched.stored.result()
        with self._named():
            self._graph.settle_layer(chain)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Errors of the graph say which image they are about."""
        try:
            yield
        except errors.PydockError as error:
            error.args = (f"image {self._reference}: {error.message}",)
            raise


class _Meter:
    """Where a blob's bytes go: to the writer, and now and then a word about it."""

    def __init__(
        self,
        blob: registries.Descriptor,
        writer: graphs.BlobWriter,
        report: Progress | None,
        stop: Stop,
    ) -> None:
        self._blob, self._writer, self._report, self._stop = blob, writer, report, stop
        self._next = 0

    def __call__(self, data: memoryview) -> None:
        if self._stop.is_set():
            raise Stopped()
        self._writer.write(data)
        if self._report is not None and self._writer.offset >= self._next:
            self._next = self._writer.offset + _REPORT
            self._report("downloading", self._blob.digest, self._writer.offset, self._blob.size)


_locks = KeyedLocks()


def _only(graph: graphs.Graph, name: str) -> contextlib.AbstractContextManager[None]:
    """One thread at a time for a thing of a graph. Locks are taken in the order reference, layer, blob."""
    return _locks.hold(f"{id(graph)} {name}")
