from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler import errors
from reconciler.images import image_config

DIFF = "sha256:" + "0" * 64


def parse(config: Any = None, **document: Any) -> image_config.Config:
    whole = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [DIFF]}, "config": config}
    return image_config.parse(json.dumps({**whole, **document}).encode(), 1, "x86_64")


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
        ({"Cmd": "a string"}, "malformed"),
        ({"Env": ["novalue"]}, "expected NAME=value"),
        ({"Env": ["=x"]}, "expected NAME=value"),
        ({"User": "root\n0"}, "no usable User"),
        ({"WorkingDir": "/a\0"}, "no usable WorkingDir"),
        ({"WorkingDir": "/" + "x" * 5000}, "no usable WorkingDir"),
        ({"StopSignal": "SIGTERM; rm"}, "no usable StopSignal"),
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
        ({"architecture": "s390x"}, "made for linux/s390x, and wanted is linux/amd64"),
        ({"os": "windows"}, "made for windows/amd64"),
        ({"rootfs": {"type": "layers", "diff_ids": []}}, "names 0 layers, its manifest 1"),
        ({"rootfs": {"type": "tree", "diff_ids": [DIFF]}}, "unknown type"),
        ({"rootfs": {"type": "layers", "diff_ids": ["sha256:../x"]}}, "malformed"),
        ({"rootfs": None}, "malformed"),
    ],
)
def test_configurations_that_do_not_fit(document: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.Permanent, match=words):
        parse(None, **document)


def test_no_json() -> None:
    for raw in (b"", b"[" * 100_000, b"\xff", b'"\\ud800"'):
        with pytest.raises(errors.Permanent, match="malformed"):
            image_config.parse(raw, 1)
