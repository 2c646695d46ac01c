from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import click
import pytest

from reconciler.cli import files


def test_a_directory_is_read_as_the_daemon_reads_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    for name in (
        "b.yaml",
        "a.yml",
        "sub/c.json",
        ".git/x.yaml",
        ".hidden.yaml",
        "a.yaml~",
        "b.yaml.bak",
        "README",
        "x.YAML",
    ):
        (tmp_path / name).write_text(name)
    os.mkfifo(tmp_path / "fifo.yaml")
    found = files.read([str(tmp_path)])
    assert [text.name for text in found] == [str(tmp_path / name) for name in ("a.yml", "b.yaml", "sub/c.json")]
    assert found[0].data == b"a.yml"


def test_several_names_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.txt").write_text("b")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"in")))
    assert files.read(["-", str(tmp_path / "b.txt")]) == [
        files.Text("<stdin>", b"in"),
        files.Text(str(tmp_path / "b.txt"), b"b"),
    ]


def test_a_pipe_given_by_name_is_read(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"piped")
    os.close(writing)
    assert files.read([f"/proc/self/fd/{reading}"])[0].data == b"piped"
    os.close(reading)


@pytest.mark.parametrize(
    ("name", "says"),
    [("none.yaml", "none.yaml: no such file or directory"), ("empty", "empty: there is no *.yaml, *.yml or *.json")],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(click.ClickException) as caught:
        files.read([str(tmp_path / name)])
    assert says in caught.value.message


def test_an_endless_file_ends() -> None:
    assert len(files.read(["/dev/zero"])[0].data) == 8 << 20
