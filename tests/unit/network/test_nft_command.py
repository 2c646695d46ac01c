"""The nft command where there is no library: its errors, and one that never ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.drivers.network import nft


def program(directory: Path, script: str) -> str:
    path = directory / "nft"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_what_it_says(tmp_path: Path) -> None:
    command = nft.Command(program(tmp_path, 'cat; echo "$@"'))
    assert command.read("list ruleset") == "-j -s list ruleset\n"
    failing = nft.Command(program(tmp_path, "echo no such table >&2; exit 1"))
    with pytest.raises(nft.NftError, match="no such table"):
        failing.run("delete table x")


def test_one_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nft, "TIMEOUT", 0.2)
    command = nft.Command(program(tmp_path, "sleep 1000 & wait"))
    with pytest.raises(nft.NftError, match=r"nft has not ended within 0.2 s: it was killed"):
        command.run("flush ruleset")
