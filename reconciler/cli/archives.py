"""Archives on the client's side: opened whatever they are packed with, and written so that no half of one stays."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import click

from reconciler import errors
from reconciler.cli import progress

_PIECE = 1 << 18
_BLOCK = 512
#: how what is packed begins
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}

#: pieces, and how many bytes they have in all (None: nobody knows)
Opened = tuple[Iterable[bytes], int | None]


@contextlib.contextmanager
def plain(path: str, kept: Collection[str] = ()) -> Iterator[Opened]:
    """The bytes of an archive without its packing, but for those of ``kept``. ``path`` may be that of a directory with
    an OCI layout, or ``-``."""
    if path == "-":
        if sys.stdin.isatty():
            raise click.UsageError("There is no archive at the terminal: redirect one, or name a file.")
        yield _opened(sys.stdin.buffer, "standard input", kept)
    elif os.path.isdir(path):
        yield _layout(Path(path)), None
    else:
        try:
            file = open(path, "rb")  # noqa: SIM115 - closed below; errors of the body are others'
        except OSError as error:
            raise errors.Invalid(f"{path}: {(error.strerror or str(error)).lower()}") from None
        with file:
            yield _opened(file, path, kept)


def _opened(file: IO[bytes], name: str, kept: Collection[str]) -> Opened:
    assert isinstance(file, io.BufferedReader)
    start = file.peek(8)[:8]
    packing = next((found for magic, found in _MAGIC.items() if start.startswith(magic)), "")
    if packing and packing not in kept:
        return _unpacked(file, name, packing), None
    found = os.fstat(file.fileno())
    length = found.st_size - file.tell() if stat.S_ISREG(found.st_mode) else None
    return iter(lambda: file.read1(_PIECE), b""), length


def _unpacked(file: IO[bytes], name: str, packing: str) -> Iterator[bytes]:
    import lzma
    import zlib

    import zstandard

    try:
        unpacking = _UNPACKING[packing](file)
        while piece := unpacking.read(_PIECE):
            yield piece
    except (OSError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError) as error:
        raise errors.Invalid(f"{name}: its packing ({packing}) is damaged: {error}") from None


def _gzip(file: IO[bytes]) -> Any:
    import gzip

    return gzip.GzipFile(fileobj=file)


def _bzip2(file: IO[bytes]) -> Any:
    import bz2

    return bz2.BZ2File(file)


def _xz(file: IO[bytes]) -> Any:
    import lzma

    return lzma.LZMAFile(file)


def _zstd(file: IO[bytes]) -> Any:
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)


_UNPACKING: dict[str, Callable[[IO[bytes]], Any]] = {"gzip": _gzip, "bzip2": _bzip2, "xz": _xz, "zstd": _zstd}


def _layout(directory: Path) -> Iterator[bytes]:
    """The directory of an OCI layout as an archive of it."""
    if not (directory / "index.json").is_file():
        raise errors.Invalid(f"{directory}: it has no index.json, so it is no OCI layout")
    named = [directory / "oci-layout", directory / "index.json"]
    for path in (*named, *sorted((directory / "blobs").glob("*/*"))):
        if path.is_file():
            yield from _member(path, str(path.relative_to(directory)))
    yield bytes(2 * _BLOCK)


def _member(path: Path, name: str) -> Iterator[bytes]:
    import tarfile

    with path.open("rb") as file:
        info = tarfile.TarInfo(name)
        left = info.size = os.fstat(file.fileno()).st_size
        yield info.tobuf(tarfile.GNU_FORMAT)
        while left:
            piece = file.read(min(left, _PIECE))
            if not piece:
                raise errors.Invalid(f"{path}: it became shorter while it was read")
            left -= len(piece)
            yield piece
    yield bytes(-info.size % _BLOCK)


def follow(what: str, items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Shows the progress of what is sent; then gives the item of each image."""
    made = []
    with progress.display(sys.stderr, keep=False) as shown:
        for item in items:
            if item.get("reference"):
                made.append(item)
            elif item.get("layer"):
                shown.show(item)
    if not made:
        raise errors.Temporary(f"the server ended the {what} without naming an image: try again")
    yield from made


def write(path: str, pieces: Iterable[bytes]) -> None:
    """To a file, which has its name when it is complete, or to standard output (``-``)."""
    if path == "-":
        if sys.stdout.isatty():
            raise click.UsageError("An archive is nothing for a terminal: redirect it, or name a file with -o.")
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # /dev/stdout, or a pipe
            with open(path, "wb") as file:
                file.writelines(pieces)
        else:
            _whole(Path(path), pieces)
    except OSError as error:
        raise errors.Invalid(f"{path}: {(error.strerror or str(error)).lower()}") from None


def _whole(path: Path, pieces: Iterable[bytes]) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("xb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)
