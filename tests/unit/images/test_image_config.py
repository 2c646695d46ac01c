from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from reconciler import errors
from reconciler.drivers.registry import manifests
from reconciler.images import image_config

DIFF = "sha256:" + "0" * 64


def parse(config: Any = None, **document: Any) -> image_config.Config:
    whole = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [DIFF]}, "config": config}
    return image_config.parse(json.dumps({**whole, **document}).encode(), 1)


def test_what_counts_for_running() -> None:
    found = parse(
        {
            "Entrypoint": ["/e"],
            "Cmd": ["c", "new\nline"],
            "Env": ["A=1", "B=x=y"],
            "WorkingDir": "/w",
            "User": "1000:1000",
            "StopSignal": "SIGRTMIN+3",
            "Labels": {"k": "v\nw"},
            "ExposedPorts": {"80/tcp": {}},
        }
    )
    assert (found.entrypoint, found.cmd, found.env) == (("/e",), ("c", "new\nline"), ("A=1", "B=x=y"))
    assert (found.working_dir, found.user, found.stop_signal) == ("/w", "1000:1000", "SIGRTMIN+3")
    assert (found.labels, found.diff_ids) == ({"k": "v\nw"}, (DIFF,))


@pytest.mark.parametrize(
    "config", [None, {}, {"Cmd": None, "Env": None, "Labels": None, "User": None, "WorkingDir": None}]
)
def test_what_is_missing_is_empty(config: Any) -> None:
    found = parse(config)
    assert (found.entrypoint, found.cmd, found.env, found.user, found.labels) == ((), (), (), "", {})


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"Cmd": ["a\0b"]}, "Cmd"),
        ({"Entrypoint": ["x" * 200_000]}, "Entrypoint"),
        ({"Cmd": ["x"] * 5000}, "at most 4096"),
        ({"Cmd": 7}, "malformed"),
        ({"User": 0}, "malformed"),
        ({"Env": ["A=" + "x" * 200_000]}, "Env"),
        ({"User": "root\n0"}, "no usable User"),
        ({"WorkingDir": "/a\0"}, "no usable WorkingDir"),
        ({"WorkingDir": "/" + "x" * 5000}, "no usable WorkingDir"),
        ({"Volumes": {f"/{number}": {} for number in range(300)}}, "300 Volumes"),
        ({"Volumes": {"/a\nb": {}}}, "no usable Volumes"),
        ({"Labels": {str(number): "" for number in range(5000)}}, "labels"),
        ({"Labels": {"k": "x" * 200_000}}, "labels"),
    ],
)
def test_what_no_process_can_be_given(config: Any, words: str) -> None:
    with pytest.raises(errors.Permanent, match=words):
        parse(config)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"rootfs": {"type": "layers", "diff_ids": []}}, "names 0 layers, its manifest 1"),
        ({"rootfs": {"type": "tree", "diff_ids": [DIFF]}}, "unknown type"),
        ({"rootfs": {"type": "layers", "diff_ids": ["sha256:../x"]}}, "malformed"),
        ({"rootfs": None}, "names 0 layers, its manifest 1: it is no container image"),
        ({"rootfs": {"diff_ids": None}}, "no container image"),
        ({"rootfs": [DIFF]}, "malformed"),
    ],
)
def test_configurations_that_do_not_fit(document: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.Permanent, match=words):
        parse(None, **document)


@pytest.mark.parametrize(
    ("spelling", "again"),
    [
        (str.lower, {}),
        (str.upper, {}),
        (str.capitalize, {}),
        (lambda key: key.replace("s", "ſ"), {}),
        (str, {"user": None, "ENV": None}),
    ],
)
def test_keys_in_another_case(spelling: Callable[[str], str], again: dict[str, Any]) -> None:
    config = {"Entrypoint": ["/e"], "Cmd": ["c"], "Env": ["Q=1"], "WorkingDir": "/tmp", "User": "4242",
              "StopSignal": "SIGQUIT", "Labels": {"Key": "v"}, "Volumes": {"/Data": {}}}  # fmt: skip
    inner = {spelling(key): value for key, value in config.items()} | again
    whole = {spelling(key): value for key, value in {
        "OS": "linux", "architecture": "amd64", "config": inner,
        "rootfs": {spelling("type"): "layers", spelling("diff_ids"): [DIFF]},
    }.items()}  # fmt: skip
    found = image_config.parse(json.dumps(whole).encode(), 1)
    assert (found.user, found.env, found.working_dir, found.cmd) == ("4242", ("Q=1",), "/tmp", ("c",))
    assert (found.entrypoint, found.stop_signal, found.diff_ids) == (("/e",), "SIGQUIT", (DIFF,))
    assert (found.labels, found.volumes) == ({"Key": "v"}, ("/Data",))
    assert str(found.platform) == "linux/amd64"


def test_a_field_that_is_named_twice() -> None:
    """As Go reads it: the later word counts, and what it leaves out stays."""
    raw = b'{"config": {"User": "0", "user": "4242"}, "Config": {"Env": ["A=1"]}, "rootfs": {"type": "layers"}}'
    found = image_config.parse(raw, 0)
    assert (found.user, found.env) == ("4242", ("A=1",))


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        ({"Entrypoint": [""], "Cmd": ["c"]}, "entrypoint", ()),
        ({"Entrypoint": ["", "x"]}, "entrypoint", ("", "x")),
        ({"Entrypoint": "/e"}, "entrypoint", ("/e",)),
        ({"Cmd": "c"}, "cmd", ("c",)),
        ({"Cmd": ["c", None]}, "cmd", ("c", "")),
        ({"Env": ["FOO", "A=1", "=x", "", None, "N=\0", "B="]}, "env", ("A=1", "B=")),
        ({"StopSignal": "SIGTERM; rm"}, "stop_signal", ""),
        ({"StopSignal": "SIGNONSENSE"}, "stop_signal", ""),
        ({"Labels": {"k": None}}, "labels", {"k": ""}),
        ({"Volumes": {"/data": None, "var/b": {}, "/": {}, "": {}}}, "volumes", ("/data", "var/b")),
    ],
)
def test_what_others_take(config: Any, field: str, value: Any) -> None:
    assert getattr(parse(config), field) == value


@pytest.mark.parametrize("rootfs", [None, {}, {"type": "layers", "diff_ids": None}, {"type": None, "diff_ids": []}])
def test_an_image_without_layers(rootfs: Any) -> None:
    assert image_config.parse(json.dumps({"rootfs": rootfs}).encode(), 0).diff_ids == ()
    assert image_config.parse(b"{}", 0).diff_ids == ()


@pytest.mark.parametrize(
    ("document", "wanted", "found"),
    [
        ({"os": "Linux", "architecture": "x86_64"}, "linux/amd64", "linux/amd64"),
        ({"os": "linux", "architecture": "AMD64"}, "linux/x86_64", "linux/amd64"),
        ({"os": "linux", "architecture": "aarch64"}, "linux/arm64", "linux/arm64/v8"),
        ({"os": "linux", "architecture": "armhf"}, "linux/arm", "linux/arm/v7"),
        ({"os": None, "architecture": None, "variant": None}, "linux/arm64", "linux/arm64"),
        ({"os": "", "architecture": "arm64", "variant": "8"}, "linux/aarch64", "linux/arm64/v8"),
        ({"os": "linux", "architecture": "s390x"}, "linux/amd64", "made for linux/s390x, and wanted is linux/amd64"),
        ({"os": "windows", "architecture": "amd64"}, "", "made for windows/"),
    ],
)
def test_what_an_image_is_for(document: dict[str, Any], wanted: str, found: str) -> None:
    said = parse(None, **document).platform
    if " " not in found and not found.startswith("made"):
        assert image_config.is_for(said, wanted) == found
        return
    with pytest.raises(errors.Permanent, match=found):
        image_config.is_for(said, wanted)


def test_a_wrong_architecture_is_believed_to_be_ours_unless_one_was_asked_for() -> None:
    machine = manifests.host_platform(os.uname().machine)
    said = manifests.Platform("linux", "s390x" if machine.architecture != "s390x" else "amd64")
    assert image_config.is_for(said, "") == str(machine)


def test_the_whole_document_under_proper_names() -> None:
    raw = b'{"OS": "linux", "CONFIG": {"user": "7", "Own": 1}, "created": null, "x": {"USER": 2}}'
    assert image_config.document(raw) == {"os": "linux", "config": {"User": "7", "Own": 1}, "x": {"USER": 2}}
    with pytest.raises(errors.Permanent, match="malformed"):
        image_config.document(b"[]")


def test_no_json() -> None:
    for raw in (b"", b"[" * 100_000, b"\xff", b'"\\ud800"'):
        with pytest.raises(errors.Permanent, match="malformed"):
            image_config.parse(raw, 1)
