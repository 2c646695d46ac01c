"""How a layer is packed, told by its first bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.drivers.graph import decompress
from reconciler.testing import graph_tars as tars

TAR = tars.archive([tars.Member(b"f", b"content")])


def unpacked(path: Path, data: bytes) -> bytes:
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        return b"".join(decompress.chunks(fd))
    finally:
        os.close(fd)


def zipped(data: bytes, path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("layer.tar", data)
    return path.read_bytes()


@pytest.mark.parametrize("pack", [lzma.compress, bz2.compress, gzip.compress])
def test_a_packing_with_streams(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    assert unpacked(tmp_path / "blob", pack(TAR)) == TAR
    assert unpacked(tmp_path / "blob", pack(TAR[:700]) + pack(TAR[700:])) == TAR
    with pytest.raises(decompress.Damaged, match="ends too early"):
        unpacked(tmp_path / "blob", pack(TAR)[:-9])


@pytest.mark.parametrize(("start", "name"), [(b"\x04\x22\x4d\x18", "lz4"), (b"7z\xbc\xaf\x27\x1c", "7z")])
def test_an_unusual_packing_is_named(tmp_path: Path, start: bytes, name: str) -> None:
    with pytest.raises(decompress.Damaged, match=f"packed with {name}: expected gzip"):
        unpacked(tmp_path / "blob", start + b"data")


def test_a_zip_is_named(tmp_path: Path) -> None:
    with pytest.raises(decompress.Damaged, match="packed with zip"):
        unpacked(tmp_path / "blob", zipped(TAR, tmp_path / "zip"))


@pytest.mark.parametrize("name", [b"f", b"BZh9", b"BZh91AY", b"7z", b"PK", b"]"])
def test_a_plain_archive_may_begin_with_any_name(tmp_path: Path, name: bytes) -> None:
    plain = tars.archive([tars.Member(name, b"content")])
    assert unpacked(tmp_path / "blob", plain) == plain
    assert unpacked(tmp_path / "blob", gzip.compress(plain)) == plain
