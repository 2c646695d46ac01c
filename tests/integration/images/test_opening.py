"""Which driver a graph has, and what a host's owner may say about it."""

from __future__ import annotations

import os
import pathlib

import pytest

from reconciler import errors
from reconciler.drivers.graph import mountinfo, opening, options, overlayfs
from reconciler.testing import graph_tars as tars
from reconciler.testing.graph_suite import Place


def test_a_root_of_another_driver_is_refused(tmp_path: pathlib.Path) -> None:
    opening.open_graph(tmp_path / "graph", "vfs")
    with pytest.raises(errors.Conflict, match="made by the vfs driver"):
        opening.open_graph(tmp_path / "graph", "overlay")
    assert opening.open_graph(tmp_path / "graph")[1].name == "vfs"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("aufs", "successor is 'overlay'"),
        ("devicemapper", "successor is 'overlay'"),
        ("zfs", "not yet supported"),
        ("nonsense", "expected one of overlay, "),
    ],
)
def test_drivers_that_there_are_not(tmp_path: pathlib.Path, name: str, words: str) -> None:
    with pytest.raises(errors.Invalid, match=words):
        opening.open_graph(tmp_path / "graph", name)
    assert not (tmp_path / "graph").exists()


def test_a_root_that_is_something_else_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "format").write_text("something else")
    with pytest.raises(errors.Permanent, match="damaged"):
        opening.open_graph(tmp_path)
    (tmp_path / "format").write_text("pydock graph 99 overlay\n")
    with pytest.raises(errors.Permanent, match="another version"):
        opening.open_graph(tmp_path)
    assert os.listdir(tmp_path) == ["format"]


@pytest.mark.parametrize("name", ["chains", "snapshots"])
def test_a_root_that_lost_its_format_is_refused(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / name / "something").mkdir(parents=True)
    with pytest.raises(errors.Permanent, match="format is missing"):
        opening.open_graph(tmp_path)
    assert os.listdir(tmp_path) == [name]


def test_a_root_that_was_never_finished_is_begun_anew(tmp_path: pathlib.Path) -> None:
    opening.open_graph(tmp_path, "overlay")
    (tmp_path / "format").unlink()
    assert opening.open_graph(tmp_path, "vfs")[1].name == "vfs"


def test_the_name_that_docker_has_for_it(tmp_path: pathlib.Path) -> None:
    assert opening.open_graph(tmp_path, "overlay2")[1].name == "overlay"
    assert opening.open_graph(tmp_path, "overlay")[1].name == "overlay"


@pytest.mark.parametrize("name", ["a,b", "a:b", "a b", "x" * 220])
def test_roots_that_cannot_be_mount_options(tmp_path: pathlib.Path, name: str) -> None:
    with pytest.raises(errors.Invalid, match="graph root"):
        opening.open_graph(tmp_path / name)


def test_vfs_where_overlay_does_not_work(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconciler.drivers.graph import overlayfs

    def refuse(*_: object) -> None:
        raise OSError(19, "No such device")

    monkeypatch.setattr(overlayfs, "attach", refuse)
    assert opening.open_graph(tmp_path / "graph")[1].name == "vfs"
    with pytest.raises(errors.Permanent, match="overlay does not work"):
        opening.open_graph(tmp_path / "other", "overlay")


@pytest.mark.parametrize(
    ("word", "words"),
    [
        (
            "overlay2.size=10G",
            "expected KEY=VALUE with a key out of max-layer-bytes, max-layer-entries, overlay.mountopt",
        ),
        ("dm.basesize=10G", "'dm.basesize=10G': expected KEY=VALUE with a key out of"),
        ("max-layer-bytes", "'max-layer-bytes': expected KEY=VALUE"),
        ("max-layer-bytes=", "storage option max-layer-bytes: '' is no quantity"),
        ("max-layer-bytes=0", "storage option max-layer-bytes: 0 bytes is out of range"),
        ("max-layer-entries=many", "storage option max-layer-entries: 'many': expected a number"),
        ("max-layer-entries=0", "expected a number of files above 0"),
        ("overlay.mountopt=nodev,noexec", "storage option overlay.mountopt: 'noexec': expected nodev, nosuid, noatime"),
        ("overlay.mountopt=", "'': expected nodev"),
    ],
)
def test_options_that_there_are_not(word: str, words: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        options.parse([word])
    assert words in caught.value.message


def test_options_of_another_driver(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.Invalid, match=r"overlay\.mountopt is the overlay driver's, but this graph's is vfs"):
        opening.open_graph(tmp_path / "graph", "vfs", options.parse(["overlay.mountopt=nodev"]))


def test_of_two_options_with_one_key_the_later_counts() -> None:
    found = options.parse(["max-layer-bytes=1Gi", "max-layer-entries=7", "max-layer-bytes=10k"])
    assert (found.limits.bytes, found.limits.entries) == (10_000, 7)
    assert options.parse([]) == options.Options()


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("flags", ["nodev", "nosuid", "noatime", "nodev,nosuid,noatime,nodev"])
def test_flags_of_mounts(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, older: bool, flags: str) -> None:
    def unknown(*_: object) -> int:
        raise OSError(22, "Invalid argument")

    if older:
        monkeypatch.setattr(overlayfs, "detached", unknown)
    place = Place(tmp_path / "graph", "overlay", f"overlay.mountopt={flags}")
    try:
        device = tars.Member(b"null", kind=b"3", mode=0o666, device=(1, 3))
        rootfs = place.driver.prepare("x", place.stack([device]))
        found = mountinfo.read().over(rootfs)
        assert found is not None
        assert {flag for flag in overlayfs.FLAGS if flag in found.flags.split(",")} == set(flags.split(","))
        if "nodev" in flags:
            with pytest.raises(PermissionError):
                os.open(os.path.join(rootfs, "null"), os.O_RDONLY)
        else:
            os.close(os.open(os.path.join(rootfs, "null"), os.O_RDONLY))
    finally:
        place.close()
