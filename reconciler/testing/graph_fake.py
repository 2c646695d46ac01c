"""A graph and a driver in memory: blobs are bytes, snapshots are directories that nothing is unpacked into."""

from __future__ import annotations

import gzip
import hashlib
import io
import pathlib
from collections.abc import Collection, Iterator
from typing import BinaryIO

from reconciler import errors
from reconciler.drivers.graph import base, chains, measure
from reconciler.model import references


class FakeWriter:
    """A ``base.BlobWriter``."""

    def __init__(self, graph: FakeGraph, digest: str, size: int) -> None:
        self._graph, self._digest, self._size = graph, digest, size
        self._data = bytearray()

    @property
    def offset(self) -> int:
        return len(self._data)

    def write(self, data: bytes | memoryview) -> None:
        if self._size >= 0 and len(self._data) + len(data) > self._size:
            raise errors.Permanent(f"{self._digest} is longer than the {self._size} bytes that were announced")
        self._data += data

    def verify(self) -> str:
        algorithm = self._digest.partition(":")[0] or "sha256"
        found = f"{algorithm}:{hashlib.new(algorithm, self._data).hexdigest()}"
        if self._digest not in ("", found) or self._size not in (-1, len(self._data)):
            raise errors.Permanent(f"the content does not match its digest: expected {self._digest}, found {found}")
        self._graph.verified[found] = bytes(self._data)
        return found

    def commit(self) -> str:
        found = self.verify()
        self._graph.contents[found] = self._graph.verified.pop(found)
        return found

    def abort(self) -> None:
        self._data.clear()
        self._graph.verified.pop(self._digest, None)


class FakePrepared:
    """A ``base.Prepared``."""

    def __init__(self, chain_id: str, size: int) -> None:
        self.chain_id, self.size = chain_id, size

    def discard(self) -> None:
        pass


class FakeGraph:
    """A ``base.Graph``. A layer is what was said of it; its blob must be there, but is not looked into. ``damaged``:
    layer → what is wrong with it."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.verified: dict[str, bytes] = {}
        self.unpacked: dict[str, int] = {}
        self.settled: set[str] = set()
        self.damaged: dict[str, list[str]] = {}
        self.disk = 1 << 30

    def has_blob(self, digest: str) -> bool:
        return references.check_digest(digest) in self.contents

    def read_blob(self, digest: str, limit: int) -> bytes:
        if digest not in self.contents:
            raise errors.NotFound(f"blob {digest} is not in the store")
        if len(self.contents[digest]) > limit:
            raise errors.Permanent(f"blob {digest} is larger than the {limit} bytes allowed here")
        return self.contents[digest]

    def open_blob(self, digest: str) -> BinaryIO:
        return io.BytesIO(self.read_blob(digest, 1 << 50))

    def write_blob(self, digest: str, size: int) -> FakeWriter:
        return FakeWriter(self, references.check_digest(digest), size)

    def new_blob(self, size: int) -> FakeWriter:
        return FakeWriter(self, "", size)

    def diff_id(self, blob: str) -> str:
        data = self.read_blob(blob, 1 << 50)
        plain = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        return f"sha256:{hashlib.sha256(plain).hexdigest()}"

    def check_blob(self, digest: str) -> str:
        data = self.contents.get(digest)
        if data is None:
            return "it is missing"
        found = f"{digest.partition(':')[0]}:{hashlib.new(digest.partition(':')[0], data).hexdigest()}"
        return "" if found == digest else f"its content is {found}"

    def check_layer(self, chain_id: str, blob: str) -> list[str]:
        self.layer_size(chain_id)
        return self.damaged.get(chain_id, [])

    def unfinished(self) -> tuple[str, ...]:
        return ()

    def remove_blob(self, digest: str) -> None:
        self.contents.pop(digest, None)

    def blobs(self) -> tuple[str, ...]:
        return tuple(sorted(self.contents))

    def has_layer(self, chain_id: str) -> bool:
        return references.check_digest(chain_id) in self.settled

    def prepare_layer(self, chain_id: str, parent: str, diff_id: str, blob: str) -> base.Prepared | None:
        """Every layer stands alone."""
        self._check(chain_id, parent, diff_id)
        if chain_id in self.unpacked:
            return None
        return FakePrepared(chain_id, len(self._archive(blob)))

    def unpack_layer(
        self, chain_id: str, parent: str, diff_id: str, blob: str, prepared: base.Prepared | None = None
    ) -> int:
        if chain_id in self.unpacked:
            return self.unpacked[chain_id]
        self._check(chain_id, parent, diff_id)
        if parent and parent not in self.unpacked:
            raise errors.NotFound(f"layer {parent} is not in the store")
        assert prepared is None or isinstance(prepared, FakePrepared)
        self.unpacked[chain_id] = prepared.size if prepared else len(self._archive(blob))
        return self.unpacked[chain_id]

    def _check(self, chain_id: str, parent: str, diff_id: str) -> None:
        if chain_id != chains.chain_id(parent, references.check_digest(diff_id)):
            raise errors.Invalid(f"layer {chain_id} is not what its parent and diff id make")

    def _archive(self, blob: str) -> bytes:
        return self.verified[blob] if blob in self.verified else self.read_blob(blob, 1 << 50)

    def settle_layer(self, chain_id: str) -> None:
        if chain_id not in self.unpacked:
            raise errors.NotFound(f"layer {chain_id} is not in the store")
        self.settled.add(chain_id)

    def remove_layer(self, chain_id: str) -> None:
        self.unpacked.pop(chain_id, None)
        self.settled.discard(chain_id)

    def layers(self) -> tuple[str, ...]:
        return tuple(sorted(self.settled))

    def blob_size(self, digest: str) -> int:
        return len(self.read_blob(digest, 1 << 30))

    def layer_size(self, chain_id: str) -> int:
        if chain_id not in self.unpacked:
            raise errors.NotFound(f"layer {chain_id} is not in the store")
        return self.unpacked[chain_id]

    def space(self) -> measure.Space:
        """A disk of ``disk`` bytes that holds nothing else."""
        return measure.Space(self.disk, self.disk - sum(map(len, self.contents.values())) - sum(self.unpacked.values()))


class FakeGraphDriver:
    """A ``base.GraphDriver`` over directories below ``root``. ``hidden`` names snapshots that somebody unmounted."""

    name = "fake"

    def __init__(self, graph: FakeGraph, root: pathlib.Path) -> None:
        self._graph, self._root = graph, root
        self.bases: dict[str, tuple[str, ...]] = {}
        self.hidden: set[str] = set()
        self.restored: list[tuple[str, int]] = []

    def probe(self) -> str:
        return "fake on memory"

    def prepare(self, id: str, chain: tuple[str, ...]) -> str:
        for layer in chain:
            if layer not in self._graph.settled:
                raise errors.NotFound(f"layer {layer} is not in the store")
        if self.bases.setdefault(id, chain) != chain:
            raise errors.Conflict(f"snapshot {id} is over another chain")
        pathlib.Path(self.rootfs(id)).mkdir(parents=True, exist_ok=True)
        self.hidden.discard(id)
        return self.rootfs(id)

    def rootfs(self, id: str) -> str:
        return str(self._root / id / "rootfs")

    def mounted(self, id: str) -> bool:
        return id in self.mounts()

    def mounts(self) -> frozenset[str]:
        return frozenset(self.bases.keys() - self.hidden)

    def restore_mount(self, id: str, pid: int) -> None:
        if id not in self.bases:
            raise errors.NotFound(f"there is no snapshot {id}")
        self.restored.append((id, pid))
        self.hidden.discard(id)

    def unmount(self, id: str) -> None:
        if id in self.bases:
            self.hidden.add(id)

    def remove(self, id: str) -> None:
        self.bases.pop(id, None)
        self.hidden.discard(id)

    def snapshots(self) -> tuple[str, ...]:
        return tuple(sorted(self.bases))

    def renew_layer(self, chain_id: str, blob: str) -> None:
        standing = [id for id in sorted(self.mounts()) if chain_id in self.bases[id]]
        if standing:
            raise errors.Conflict(f"layer {chain_id} is mounted: {', '.join(standing)}")
        self._graph.damaged.pop(chain_id, None)

    def diff(self, id: str, without: Collection[bytes] = ()) -> Iterator[bytes]:
        """Nothing was changed."""
        if id not in self.bases:
            raise errors.NotFound(f"there is no snapshot {id}")
        return iter([bytes(1024)])

    def usage(self, id: str) -> int:
        return 100 if id in self.bases else 0

    def mount_event_fd(self) -> int | None:
        return None
