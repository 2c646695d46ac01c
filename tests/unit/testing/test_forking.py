"""Forked processes, used as those of ``subprocess``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.testing.forking import Forked


def tell(args: list[str]) -> int:
    """What it was given."""
    listed = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    # what it was listed through is closed again
    found = sorted(int(path.name) for path in listed if path.exists())
    print(args[1], sorted(os.environ), os.getcwd(), sys.stdin.read(), found)
    return 3


def test_arguments_environment_directory_and_descriptors() -> None:
    kept, other = os.pipe()
    try:
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = Forked(tell, ["x", "word"], env={"A": "1"}, cwd="/", pass_fds=(kept,), **options)
        out, _ = process.communicate(b"question")
    finally:
        os.close(kept)
        os.close(other)
    assert (process.returncode, out.decode()) == (3, f"word ['A'] / question [0, 1, 2, {kept}]\n")


@pytest.mark.parametrize(
    ("code", "status"),
    [("raise SystemExit(4)", 4), ("raise SystemExit('no')", 1), ("1 / 0", 1), ("os.abort()", -6), ("", 0)],
)
def test_how_it_ends(code: str, status: int, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        process = Forked(lambda _: exec(code), ["x"], stdout=out, stderr=out)
        assert process.wait(20) == status
    assert ("ZeroDivisionError" in (tmp_path / "out").read_text()) == (code == "1 / 0")
