"""Reading tar archives: what the forms mean, and that nothing but ``Malformed`` comes of damage."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.drivers.graph import chains, decompress, layer_tree, mountinfo, tar
from reconciler.testing import graph_tars as tars
from reconciler.testing import images


class Bytes:
    """A ``tar.Source`` in memory, with pieces of an odd size."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def take(self, count: int) -> bytes:
        return self._file.read(count)

    def pieces(self, count: int) -> Iterator[memoryview]:
        while count and (piece := self._file.read(min(count, 777))):
            count -= len(piece)
            yield memoryview(piece)


def read(data: bytes) -> list[tuple[tar.Entry, bytes]]:
    reader = tar.Reader(Bytes(data))
    return [(entry, b"".join(reader.data())) for entry in reader]


def one(member: tars.Member) -> tar.Entry:
    return read(tars.archive([member]))[0][0]


def test_everything_of_a_member() -> None:
    entry, data = read(tars.archive(tars.nasty()))[5]
    assert (entry.name, data, entry.kind) == (b"bin/noted", b"x", tar.FILE)
    assert entry.xattrs == {b"user.note": b"a\0b=\n\xff"}
    found = {entry.name: entry for entry, _ in read(tars.archive(tars.nasty()))}
    assert found[b"bin/"].mtime == 1_400_000_000_123_456_789
    assert found[b"old"].mtime == -5_000_000_000
    assert (found[b"big-owner"].uid, found[b"big-owner"].gid) == (2_000_000_000, 1_999_999_999)
    assert found[b"null"].device == (1, 3)
    assert found[b"link2"].link == b"link"
    assert b"latin-\xe9\xff" in found
    assert b"pax-\xe9" + b"x" * 120 in found


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_another_tool_writes(form: int) -> None:
    long = "d" * 90 + "/" + "f" * 90 if form == tarfile.USTAR_FORMAT else "n" * 300
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name in ("a", long):
            info = tarfile.TarInfo(name)
            info.size, info.uid, info.mode, info.mtime = 5, 1000, 0o640, 1234567890
            archive.addfile(info, io.BytesIO(b"12345"))
        link = tarfile.TarInfo("l")
        link.type, link.linkname = tarfile.SYMTYPE, "t" * (100 if form == tarfile.USTAR_FORMAT else 300)
        archive.addfile(link)
    found = read(out.getvalue())
    assert [entry.name.decode() for entry, _ in found] == ["a", long, "l"]
    assert [data for _, data in found] == [b"12345", b"12345", b""]
    assert (found[0][0].uid, found[0][0].mode, found[0][0].mtime) == (1000, 0o640, 1234567890 * 10**9)
    assert len(found[2][0].link) >= 100


def test_base_256_numbers() -> None:
    header = bytearray(tars.Member(b"f").encoded()[:512])
    header[136:148] = (-7 & ((1 << 96) - 1)).to_bytes(12, "big")
    header[108:116] = b"\x80" + (3_000_000_000).to_bytes(7, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    entry = read(bytes(header) + bytes(1024))[0][0]
    assert (entry.mtime, entry.uid) == (-7_000_000_000, 3_000_000_000)


def test_sparse_files_of_every_form() -> None:
    segments = [(0, b"begin"), (4096, b"middle"), (100_000, b"end")]
    data = b"".join(piece for _, piece in segments)
    pairs = [(offset, len(piece)) for offset, piece in segments]
    flat = ",".join(f"{offset},{length}" for offset, length in pairs).encode()
    repeated = [
        item
        for offset, length in pairs
        for item in ((b"GNU.sparse.offset", b"%d" % offset), (b"GNU.sparse.numbytes", b"%d" % length))
    ]
    size = (b"GNU.sparse.size", b"200000")
    forms = [
        tars.archive([tars.sparse(b"s", segments, 200_000), tars.Member(b"after")]),
        tars.archive([tars.Member(b"s", data, records=[size, (b"GNU.sparse.map", flat)]), tars.Member(b"after")]),
        tars.archive([tars.Member(b"s", data, records=[size, *repeated]), tars.Member(b"after")]),
        tars.old_sparse(b"s", segments, 200_000) + tars.archive([tars.Member(b"after")]),
    ]
    for archive in forms:
        (entry, found), (after, _) = read(archive)
        assert (entry.name, entry.size, entry.segments, found) == (b"s", 200_000, pairs, data)
        assert after.name == b"after"


def test_an_old_sparse_file_with_many_holes() -> None:
    segments = [(index * 1000, b"%03d" % index) for index in range(60)]
    entry, data = read(tars.old_sparse(b"s", segments, 60_000) + bytes(1024))[0]
    assert entry.segments == [(offset, 3) for offset, _ in segments]
    assert data == b"".join(piece for _, piece in segments)


@pytest.mark.parametrize(
    "records",
    [
        [(b"GNU.sparse.map", b"0,3"), (b"GNU.sparse.size", b"2")],
        [(b"GNU.sparse.map", b"5,3,0,0"), (b"GNU.sparse.size", b"100")],
        [(b"GNU.sparse.map", b"0,9"), (b"GNU.sparse.size", b"100")],
        [(b"GNU.sparse.map", b"0"), (b"GNU.sparse.size", b"100")],
        [(b"GNU.sparse.map", b"0,x"), (b"GNU.sparse.size", b"100")],
        [(b"GNU.sparse.map", b"0,3")],
        [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.realsize", b"3")],
        [(b"size", b"-3")],
        [(b"size", b"99999999999999999999")],
        [(b"uid", b"4294967295")],
        [(b"mtime", b"yesterday")],
        [(b"path", b"a\0b")],
    ],
)
def test_headers_that_lie(records: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(tar.Malformed):
        read(tars.archive([tars.Member(b"f", b"abc", records=records)]))


def test_a_header_may_not_be_endless() -> None:
    with pytest.raises(tar.Malformed, match="expected 0 to"):
        one(tars.Member(b"f", records=[(b"comment", b"x" * (tar.MAX_HEADER + 1))]))


def test_global_records_hold_until_they_are_taken_back() -> None:
    def glob(*records: tuple[bytes, bytes]) -> bytes:
        encoded = tars.Member(b"g", records=records).encoded()
        block = bytearray(encoded[:512])
        block[156:157] = b"g"
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        return bytes(block) + encoded[512:-512]

    data = glob((b"uid", b"7")) + tars.Member(b"a").encoded() + glob((b"uid", b"")) + tars.archive([tars.Member(b"b")])
    assert [(entry.name, entry.uid) for entry, _ in read(data)] == [(b"a", 7), (b"b", 0)]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_malformed_or_harmless(data: st.DataObject) -> None:
    archive = bytearray(tars.archive(tars.nasty()[:8]))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(archive) - 1))
        archive[at] = data.draw(st.integers(0, 255))
        header = at - at % 512
        if data.draw(st.booleans()) and header + 512 <= len(archive):
            block = archive[header : header + 512]
            block[148:156] = b" " * 8
            archive[header + 148 : header + 156] = b"%06o\0 " % sum(block)
    try:
        read(bytes(archive[: data.draw(st.integers(0, len(archive)))]))
    except tar.Malformed:
        return


@given(st.binary(max_size=60))
def test_clean_names_stay_inside(name: bytes) -> None:
    cleaned = layer_tree.clean(name)
    assert not {b"", b".", b".."} & set(cleaned.split(b"/")) or cleaned == b""
    assert layer_tree.clean(cleaned) == cleaned


def test_chain_ids() -> None:
    # from the OCI image spec's own definition: the digest of "parent diff"
    one, two = images.digest(b"1"), images.digest(b"2")
    assert chains.chain((one, two)) == (one, images.digest(f"{one} {two}".encode()))
    assert len(chains.short_name(one)) == 16
    assert chains.short_name(one) != chains.short_name(two)


def test_chunks_are_bounded(tmp_path: object) -> None:
    import os
    import pathlib

    path = pathlib.Path(str(tmp_path)) / "blob"
    for packing in ("gzip", "zstd"):
        path.write_bytes(images.packed(bytes(32 << 20), packing))
        fd = os.open(path, os.O_RDONLY)
        sizes = [len(chunk) for chunk in decompress.chunks(fd)]
        os.close(fd)
        assert sum(sizes) == 32 << 20
        assert max(sizes) <= decompress.CHUNK


MOUNTS = r"""22 1 8:1 / / rw - ext4 /dev/sda rw
30 22 0:30 / /a\040b rw - tmpfs none rw
31 22 0:31 / /x rw - tmpfs none rw
32 31 0:32 / /x/y rw - overlay pydock rw,upperdir=/u
33 32 0:33 / /x/y rw - tmpfs stacked rw
34 22 0:34 / /z/deep rw - tmpfs hidden rw
35 22 0:35 / /z rw - tmpfs cover rw
"""


def test_the_mount_that_a_lookup_meets() -> None:
    found = mountinfo.Mounts(MOUNTS)
    ids = {
        path: mount.id
        for path in ("/", "/a b", "/x/y/z", "/z", "/z/deep/er", "/nowhere")
        if (mount := found.over(path))
    }
    assert ids == {"/": 22, "/a b": 30, "/x/y/z": 33, "/z": 35, "/z/deep/er": 35, "/nowhere": 22}
    over = found.over("/x")
    assert found.child(over, "/x/y") == found.over("/x/y")
    assert found.child(over, "/x/other") is None
    assert found.under("/x") == ["/x/y", "/x/y"]
