"""The bytes of a layer's tar out of its blob: decompressed, hashed and bounded on a thread of its own.

gzip with any number of members, zstd with any number of frames, xz and bzip2 with any number of streams, or plain: told
apart by their first bytes, as the peers do, since media types in the wild are not always true. What comes out is proved
by the diff id.
Output is made in pieces of at most ``CHUNK`` bytes, so that a bomb costs no memory.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import queue
import threading
from collections.abc import Iterator

CHUNK = 1 << 20
#: a zstd frame may ask for a window of this size at most: what the reference tool accepts without being told
_ZSTD_WINDOW = 1 << 27
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
#: bytes that unpacking xz may take: its highest preset takes 65 MiB, and what docker pipes it through no more
_XZ_MEMORY = 256 << 20
_XZ = b"\xfd7zXZ\0"
_BZIP2 = b"BZh"
#: first bytes of what layers are packed with elsewhere, and is not unpacked here
_FOREIGN = {
    b"\x04\x22\x4d\x18": "lz4",
    b"LZIP": "lzip",
    b"\x1f\x9d": "compress (.Z)",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"hsqs": "squashfs",
}
_MODULES = {
    "gzip": ["isal.igzip_lib"],
    "zstd": ["zstandard"],
    "xz": ["lzma", "bz2"],
    "bzip2": ["lzma", "bz2"],
    "plain": [],
}
_AHEAD = 4


class Damaged(Exception):
    """the compressed data is damaged"""


class TooLarge(Exception):
    """the layer is larger than allowed"""


def load(fd: int) -> None:
    """Brings in what unpacks the file, which could not be found any more behind walls. Raises as ``chunks``."""
    for module in _MODULES[_packing(fd)]:
        importlib.import_module(module)


def chunks(fd: int) -> Iterator[bytes]:
    """The decompressed bytes of a seekable file. Raises ``Damaged``, also for what is packed as nobody unpacks it
    here."""
    packing = _packing(fd)
    if packing == "gzip":
        return _gzip(fd)
    if packing == "zstd":
        return _zstd(fd)
    if packing in ("xz", "bzip2"):
        return _streams(fd, packing)
    return iter(lambda: os.read(fd, CHUNK), b"")


def _packing(fd: int) -> str:
    magic = os.pread(fd, 6, 0)
    if magic.startswith(_GZIP):
        return "gzip"
    if magic.startswith(_ZSTD) or (magic[1:4] == b"\x2a\x4d\x18" and 0x50 <= magic[0] <= 0x5F):
        return "zstd"
    if magic == _XZ:
        return "xz"
    if os.pread(fd, 5, 257) == b"ustar":
        return "plain"  # the name of its first member may begin with any letters
    if magic.startswith(_BZIP2):
        return "bzip2"
    for first, name in _FOREIGN.items():
        if magic.startswith(first):
            raise Damaged(f"it is packed with {name}: expected gzip, zstd, xz, bzip2 or a plain tar archive")
    return "plain"


def _streams(fd: int, kind: str) -> Iterator[bytes]:
    """xz and bzip2, of the standard library."""
    import bz2
    import lzma

    def new() -> lzma.LZMADecompressor | bz2.BZ2Decompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY) if kind == "xz" else bz2.BZ2Decompressor()

    data = os.read(fd, CHUNK)
    while data:
        stream = new()
        while not stream.eof:
            if not data and stream.needs_input and not (data := os.read(fd, CHUNK)):
                raise Damaged(f"the {kind} data ends too early")
            try:
                piece = stream.decompress(data, CHUNK)
            except (OSError, EOFError, lzma.LZMAError) as error:
                raise Damaged(f"the {kind} data is damaged: {error}") from None
            data = b""
            yield piece
        data = _after(fd, stream.unused_data)


def _gzip(fd: int) -> Iterator[bytes]:
    from isal import igzip_lib

    data = os.read(fd, CHUNK)
    while data:
        member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        while not member.eof:
            if not data and member.needs_input and not (data := os.read(fd, CHUNK)):
                raise Damaged("the gzip data ends too early")
            try:
                piece = member.decompress(data, CHUNK)
            except Exception as error:  # noqa: BLE001 - its class is not exported
                raise Damaged(f"the gzip data is damaged: {error}") from None
            data = b""
            yield piece
        data = _after(fd, member.unused_data)


def _after(fd: int, data: bytes) -> bytes:
    """What follows a member or stream, without the zeros that some pad with."""
    while not (data := data.lstrip(b"\0")):
        data = os.read(fd, CHUNK)
        if not data:
            return b""
    return data


def _zstd(fd: int) -> Iterator[bytes]:
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    with open(fd, "rb", buffering=0, closefd=False) as file:
        reader = decompressor.stream_reader(file, read_size=CHUNK, read_across_frames=True, closefd=False)
        try:
            while piece := reader.read(CHUNK):
                yield piece
        except zstandard.ZstdError as error:
            raise Damaged(f"the zstd data is damaged: {error}") from None


class Stream:
    """A ``tar.Source`` over a blob; after ``drain`` its ``digest`` is that of all the decompressed bytes."""

    def __init__(self, fd: int, limit: int, algorithm: str = "sha256") -> None:
        self._hash = hashlib.new(algorithm)
        self._limit = limit
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(_AHEAD)
        self._chunk = memoryview(b"")
        self._ended = False
        threading.Thread(target=self._produce, args=(fd,), daemon=True).start()

    def _produce(self, fd: int) -> None:
        total = 0
        try:
            for chunk in chunks(fd):
                total += len(chunk)
                if total > self._limit:
                    raise TooLarge(f"the layer has more than the {self._limit} bytes that are allowed or that fit")
                self._hash.update(chunk)
                self._queue.put(chunk)
            self._queue.put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the reader, who raises it
            self._queue.put(error)

    def _more(self) -> bool:
        """Gets the next chunk; False at the end."""
        if self._ended:
            return False
        item = self._queue.get()
        if isinstance(item, BaseException):
            self._ended = True
            raise item
        self._ended = item is None
        self._chunk = memoryview(item or b"")
        return not self._ended

    def take(self, count: int) -> bytes:
        if count <= len(self._chunk):
            found = bytes(self._chunk[:count])
            self._chunk = self._chunk[count:]
            return found
        return b"".join(bytes(piece) for piece in self.pieces(count))

    def pieces(self, count: int) -> Iterator[memoryview]:
        while count and (len(self._chunk) or self._more()):
            piece = self._chunk[:count]
            self._chunk = self._chunk[len(piece) :]
            count -= len(piece)
            yield piece

    def drain(self) -> str:
        """Reads to the end; returns the digest's hexadecimal digits."""
        while self._more():
            continue
        return self._hash.hexdigest()
