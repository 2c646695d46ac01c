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


@pytest.mark.parametrize(
    ("pack", "name"),
    [(lzma.compress, "xz"), (bz2.compress, "bzip2"), (lambda data: b"\x04\x22\x4d\x18" + data, "lz4"),
     (lambda data: b"7z\xbc\xaf\x27\x1c" + data, "7z")],
)  # fmt: skip
def test_an_unusual_packing_is_named(tmp_path: Path, pack: Callable[[bytes], bytes], name: str) -> None:
    for data in (TAR, b""):
        with pytest.raises(decompress.Damaged, match=f"packed with {name}, where gzip, zstd or no packing"):
            unpacked(tmp_path / "blob", pack(data))


def test_a_zip_is_named(tmp_path: Path) -> None:
    with pytest.raises(decompress.Damaged, match="packed with zip"):
        unpacked(tmp_path / "blob", zipped(TAR, tmp_path / "zip"))


@pytest.mark.parametrize("name", [b"f", b"BZh9", b"BZh91AY", b"7z", b"PK", b"]"])
def test_a_plain_archive_may_begin_with_any_name(tmp_path: Path, name: bytes) -> None:
    plain = tars.archive([tars.Member(name, b"content")])
    assert unpacked(tmp_path / "blob", plain) == plain
    assert unpacked(tmp_path / "blob", gzip.compress(plain)) == plain
