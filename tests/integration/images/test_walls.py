"""The walls around extraction, looked at from inside and from outside, and what hostile layers may use."""

from __future__ import annotations

import bz2
import errno
import gzip
import json
import lzma
import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from reconciler import errors, helper
from reconciler.drivers.graph import chains, opening, options, syscalls
from reconciler.testing import graph_tars as tars
from reconciler.testing import images
from reconciler.testing.graph_suite import Place

#: of the helper as it is started
pytestmark = pytest.mark.installed

#: goes behind the walls as the helper does, then tries what a helper that was taken over would try
_PRISONER = """
import ctypes, json, os, socket, sys, threading
from reconciler.drivers.graph import confine, syscalls
confine.leave_host()
root = confine.view(sys.argv[1], read_only=False)
confine.enter(root, seconds=20, file_size=1 << 20)
confine.stay_alone()
found = {}
def attempt(name, action):
    try:
        found[name] = action() or "worked"
    except BaseException as error:
        found[name] = type(error).__name__
def up():
    for _ in range(20):
        os.chdir("..")
    return ",".join(sorted(os.listdir(".")))
def status(key):
    return next(line.split()[1] for line in STATUS if line.startswith(key))
attempt("tree", lambda: ",".join(sorted(os.listdir("/"))))
attempt("up", up)
attempt("descriptors above", lambda: ",".join(sorted(os.listdir(os.open("..", os.O_RDONLY, dir_fd=root)))))
attempt("chroot", lambda: os.chroot("/"))
attempt("mount", lambda: syscalls.mount("none", "/", "tmpfs", 0, ""))
attempt("unshare", lambda: syscalls.unshare(syscalls.CLONE_NEWNS))
attempt("device", lambda: os.mknod("/disk", 0o60600, os.makedev(1, 0)))
attempt("open device", lambda: os.open("/disk", os.O_RDONLY))
attempt("network", lambda: socket.socket().connect((b"127.0.0.1", int(sys.argv[2]))))
attempt("kill", lambda: os.kill(int(sys.argv[3]), 0))
attempt("fork", os.fork)
attempt("thread", lambda: threading.Thread(target=list).start())

attempt("import", lambda: __import__("planted"))
attempt("write", lambda: open("/x", "w").close())
attempt("large file", lambda: os.truncate("/x", 1 << 21))
attempt("trusted", lambda: os.setxattr("/x", "trusted.overlay.opaque", b"y"))
os.write(1, json.dumps(found).encode())
os._exit(0)
"""


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Iterator[Place]:
    found = Place(tmp_path / "graph", "overlay")
    yield found
    found.close()


def test_what_a_helper_that_was_taken_over_can_do(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "root"
    planted = root / "usr/lib/python3"
    planted.mkdir(parents=True)
    (root / "planted.py").write_text("raise SystemExit('the planted module ran')")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        arguments = [sys.executable, "-c", _PRISONER, str(root), str(port), str(os.getpid())]
        found = json.loads(subprocess.run(arguments, stdout=subprocess.PIPE, check=True).stdout)
    assert found == {
        "tree": "planted.py,usr",
        "up": "planted.py,usr",
        "descriptors above": "planted.py,usr",
        "chroot": "PermissionError",
        "mount": "PermissionError",
        "unshare": "PermissionError",
        "device": "worked",
        "open device": "PermissionError",
        "network": "OSError",
        "kill": "PermissionError",
        "fork": "BlockingIOError",
        "thread": "RuntimeError",
        "large file": "OSError",
        "import": "ModuleNotFoundError",
        "write": "worked",
        "trusted": "PermissionError",
    }


def test_the_helper_ends_with_its_parent(tmp_path: pathlib.Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(b"")
    request = {"blob": 0, "target": str(tmp_path), "parent": 1 if os.getpid() != 1 else 2}
    process = subprocess.run(helper.command("extract"), input=json.dumps(request).encode(), capture_output=True)
    assert process.returncode != 0
    assert b"is gone" in process.stderr


def test_an_unknown_helper_is_refused() -> None:
    process = subprocess.run(helper.command("nothing"), capture_output=True, text=True)
    assert process.returncode == 2
    assert "not for people" in process.stderr


PACKERS = {"gzip": gzip.compress, "zstd": lambda data: images.packed(data, "zstd"), "xz": lzma.compress,
           "bzip2": bz2.compress}  # fmt: skip


@pytest.mark.parametrize("packing", PACKERS)
def test_a_bomb_meets_the_quota(tmp_path: pathlib.Path, packing: str) -> None:
    graph, _ = opening.open_graph(
        tmp_path / "graph", "overlay", options.parse(["max-layer-bytes=8Mi", "max-layer-entries=100"])
    )
    archive = tars.archive([tars.Member(b"zeros", bytes(64 << 20))])
    blob = PACKERS[packing](archive)
    _store(graph, blob)
    with pytest.raises(errors.Permanent, match="allowed or that fit"):
        graph.unpack_layer(images.digest(archive), "", images.digest(archive), images.digest(blob))
    assert os.listdir(tmp_path / "graph" / "tmp") == []


def test_holes_and_members_meet_the_quota(tmp_path: pathlib.Path) -> None:
    graph, _ = opening.open_graph(
        tmp_path / "graph", "overlay", options.parse(["max-layer-bytes=1Gi", "max-layer-entries=100"])
    )
    huge = tars.archive([tars.sparse(b"s", [(0, b"x")], 1 << 40)])
    many = tars.archive([tars.Member(b"f%d" % number) for number in range(101)])
    for archive, words in ((huge, "more than the 1073741824 bytes"), (many, "more files")):
        _store(graph, archive)
        with pytest.raises(errors.Permanent, match=words):
            graph.unpack_layer(images.digest(archive), "", images.digest(archive), images.digest(archive))


def test_a_full_disk_is_a_thing_to_try_again(tmp_path: pathlib.Path) -> None:
    from reconciler.drivers.graph import syscalls

    small = tmp_path / "small"
    small.mkdir()
    syscalls.mount("none", str(small), "tmpfs", 0, "size=4m,nr_inodes=400")
    try:
        graph, _ = opening.open_graph(small / "graph")
        archive = tars.archive([tars.Member(b"big", os.urandom(3 << 20))])
        blob = gzip.compress(archive)
        _store(graph, blob)
        with pytest.raises(errors.PydockError, match=r"no space left|that fit"):
            graph.unpack_layer(images.digest(archive), "", images.digest(archive), images.digest(blob))
        writer = graph.write_blob(images.digest(b""), -1)
        with pytest.raises(errors.Temporary):
            writer.write(bytes(8 << 20))
        assert os.listdir(small / "graph" / "tmp") == []
    finally:
        syscalls.umount(str(small), syscalls.MNT_DETACH)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda blob: blob[: len(blob) // 2], "ends too early"),
        (lambda blob: blob[:-8] + bytes(8), "damaged"),
        (lambda blob: blob + b"garbage" * 10, "damaged"),
    ],
)
def test_damaged_gzip(place: Place, damage: object, words: str) -> None:
    archive = tars.archive([tars.Member(b"f", os.urandom(100_000))])
    blob = damage(gzip.compress(archive))  # type: ignore[operator]
    place.put(blob)
    with pytest.raises(errors.Permanent, match=words):
        place.graph.unpack_layer(images.digest(archive), "", images.digest(archive), images.digest(blob))


@pytest.mark.parametrize("packing", ["xz", "bzip2"])
def test_damaged_xz_and_bzip2(place: Place, packing: str) -> None:
    archive = tars.archive([tars.Member(b"f", os.urandom(100_000))])
    whole = PACKERS[packing](archive)
    for blob, words in (
        (whole[: len(whole) // 2], f"the {packing} data ends too early"),
        (whole[:1000] + bytes(100) + whole[1100:], f"the {packing} data is damaged"),
        (whole + b"garbage" * 10, f"the {packing} data is damaged"),
    ):
        place.put(blob)
        with pytest.raises(errors.Permanent, match=words):
            place.graph.unpack_layer(images.digest(archive), "", images.digest(archive), images.digest(blob))


def test_xz_that_wants_much_memory_is_refused(place: Place) -> None:
    """Its header says how much: a dictionary of a gigabyte."""
    archive = tars.archive([tars.Member(b"f", b"data")])
    greedy = lzma.compress(archive, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}])
    place.put(greedy)
    with pytest.raises(errors.Permanent, match="the xz data is damaged: Memory usage limit"):
        place.graph.unpack_layer(images.digest(archive), "", images.digest(archive), images.digest(greedy))


@pytest.mark.parametrize(
    ("first", "name"),
    [(b"\x04\x22\x4d\x18", "lz4"), (b"LZIP\x01", "lzip"), (b"PK\x03\x04", "zip"), (b"\x1f\x9d\x90", "compress"),
     (b"7z\xbc\xaf\x27\x1c", "7z"), (b"hsqs", "squashfs")],
)  # fmt: skip
def test_what_is_packed_otherwise_is_named(place: Place, first: bytes, name: str) -> None:
    blob = first + os.urandom(2000)
    place.put(blob)
    for ask in (
        lambda: place.graph.unpack_layer(images.digest(b""), "", images.digest(b""), images.digest(blob)),
        lambda: place.graph.diff_id(images.digest(blob)),
    ):
        with pytest.raises(errors.Permanent, match=f"it is packed with {name}.*: expected gzip, zstd, xz, bzip2"):
            ask()


@pytest.mark.parametrize("name", [b"BZh9", b"LZIP", b"hsqs", b"7z"])
def test_a_plain_archive_whose_first_name_looks_like_a_packer(place: Place, name: bytes) -> None:
    rootfs = place.driver.prepare("x", (place.layer(tars.archive([tars.Member(name)]), packing="plain"),))
    assert os.listdir(os.fsencode(rootfs)) == [name]


def test_zstd_that_ends_too_early_has_another_diff_id(place: Place) -> None:
    archive = tars.archive([tars.Member(b"f", os.urandom(1_000_000))])
    blob = images.packed(archive, "zstd")[:-1000]
    place.put(blob)
    with pytest.raises(errors.Permanent, match=r"diff id|ends in the middle"):
        place.graph.unpack_layer(images.digest(archive), "", images.digest(archive), images.digest(blob))


def test_many_members_and_frames(place: Place) -> None:
    archive = tars.archive([tars.Member(b"f", os.urandom(3_000_000)), tars.Member(b"g")])
    pieces = [archive[at : at + 100_000] for at in range(0, len(archive), 100_000)]
    members = b"".join(gzip.compress(piece) for piece in pieces) + bytes(512)
    frames = b"".join(images.packed(piece, "zstd") for piece in pieces) + b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    streams = [b"".join(pack(piece) for piece in pieces) + bytes(8) for pack in (lzma.compress, bz2.compress)]
    for blob in (members, frames, *streams):
        place.put(blob)
        diff_id = images.digest(archive)
        place.graph.unpack_layer(diff_id, "", diff_id, images.digest(blob))
        place.graph.settle_layer(diff_id)
        assert place.graph.has_layer(chains.chain_id("", diff_id))
        place.graph.remove_layer(diff_id)


def _store(graph: object, blob: bytes) -> None:
    writer = graph.write_blob(images.digest(blob), len(blob))  # type: ignore[attr-defined]
    writer.write(blob)
    writer.commit()


def test_a_layer_that_cannot_be_synced_is_dropped_and_unpacked_anew(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tars.archive([tars.Member(b"f", b"data")])
    blob, diff_id = place.put(archive), images.digest(archive)
    place.graph.unpack_layer(diff_id, "", diff_id, blob)
    with monkeypatch.context() as patched:
        patched.setattr(syscalls, "syncfs", _fails)
        with pytest.raises(errors.Temporary, match="Input/output error"):
            place.graph.settle_layer(diff_id)
    # a second sync would say that all is well, whatever was lost
    with pytest.raises(errors.NotFound):
        place.graph.settle_layer(diff_id)
    assert os.listdir(place.root / "layers") == []
    place.graph.unpack_layer(diff_id, "", diff_id, blob)
    place.graph.settle_layer(diff_id)
    assert place.graph.layers() == (diff_id,)


def _fails(descriptor: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
