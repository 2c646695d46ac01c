"""What a container takes away while its files are read for an image."""

from __future__ import annotations

import os
import pathlib
import shutil
from typing import Any

import pytest

from reconciler.drivers.graph import diff


@pytest.mark.parametrize("overlay", [True, False])
def test_a_directory_that_goes_before_it_is_entered(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, overlay: bool
) -> None:
    for name in ("gone/in", "stays/in"):
        (tmp_path / name).mkdir(parents=True)
    enter = diff._Diff._enter

    def entering(self: Any, path: bytes, *rest: Any) -> Any:
        if path == b"gone":
            shutil.rmtree(tmp_path / "gone")
        return enter(self, path, *rest)

    monkeypatch.setattr(diff._Diff, "_enter", entering)
    archive = b"".join(diff.pieces(os.fspath(tmp_path), "", overlay=overlay))
    assert b"stays/in/" in archive
    assert b"gone" not in archive
