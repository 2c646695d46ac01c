"""How many files a new verb and a new front touch: counted on one that is really added, and really works.

A copy of the rooms concerned is made, the files and rows of ``docs/extending`` are added to it as they stand there, and
the copy answers. Whoever makes adding dearer sees it here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "extending"

#: ``File `path`:`` or ``Row in `path`, after `line`:``, and the text in the fence that follows
_STEP = re.compile(
    r"^(?:(?P<new>File) `(?P<file>[^`]+)`|(?P<row>Row) in `(?P<table>[^`]+)`, after `(?P<after>[^`]+)`):\n\n"
    r"```\w*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Page:
    """What a page of ``docs/extending`` adds."""

    def __init__(self, name: str) -> None:
        self.files: dict[str, str] = {}
        self.rows: list[tuple[str, str, str]] = []
        for step in _STEP.finditer((PAGES / name).read_text()):
            if step["new"]:
                self.files[step["file"]] = step["text"]
            else:
                self.rows.append((step["table"], step["after"], step["text"]))

    def add_to(self, root: Path) -> None:
        for path, text in self.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        for path, after, text in self.rows:
            lines = (root / path).read_text().splitlines(keepends=True)
            (place,) = [number for number, line in enumerate(lines) if line.strip() == after]
            lines.insert(place + 1, text)
            (root / path).write_text("".join(lines))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("reconciler", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docs" / "reference").mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "generate.py", tmp_path / "docs")
    return tmp_path


def run(copy: Path, *arguments: str) -> str:
    """A command with the copy's packages."""
    done = subprocess.run(
        [sys.executable, "-B", *arguments],
        cwd=copy,
        env={"PYTHONPATH": str(copy), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


#: asks the copy's own engine through the copy's own front
ASK = """
import json, socket, sys, tempfile, pathlib
from falcon import testing
from reconciler.api import streams
from reconciler.api.fronts import table
from reconciler.engine import front
from reconciler.ipc import EngineClient, EngineServer
from reconciler.testing.loop import Loop, container

with tempfile.TemporaryDirectory() as scratch:
    loop = Loop(pathlib.Path(scratch))
    for name in ("web", "db"):
        loop.ask("put", document=container(name), manager="me")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = EngineServer(theirs, front.Front(loop.engine).serve)
    server.start()
    client = testing.TestClient(table.make_app(EngineClient(ours), streams.Streams()), headers={"Host": "localhost"})
    for path in sys.argv[1:]:
        answer = client.simulate_get(path)
        print(json.dumps([answer.status_code, answer.headers.get("content-type"), answer.text]))
    server.close()
    ours.close()
    loop.close()
"""


def test_a_verb_with_a_new_job_is_three_files_and_two_rows(copy: Path) -> None:
    page = Page("verb.md")
    assert (len(page.files), len(page.rows)) == (3, 2)
    page.add_to(copy)
    run(copy, "docs/generate.py")
    assert '"count": Call("GET"' in (copy / "reconciler/client/calls.py").read_text()
    assert "## count" in (copy / "docs/reference/api.md").read_text()
    assert "## `pydock count`" in (copy / "docs/reference/cli.md").read_text()
    (line,) = run(copy, "-c", ASK, "/apis/pydock.dev/v1/count?kind=container").splitlines()
    code, _, text = json.loads(line)
    assert (code, json.loads(text)) == (200, {"count": 2})
    assert "How many objects" in run(copy, "-m", "reconciler.cli.main", "count", "--help")


def test_a_front_is_one_folder_and_one_row(copy: Path) -> None:
    page = Page("front.md")
    assert {Path(path).parent for path in page.files} == {Path("reconciler/api/fronts/metrics")}
    assert len(page.rows) == 1
    page.add_to(copy)
    metrics, nowhere, native = map(json.loads, run(copy, "-c", ASK, "/metrics", "/metrics/x", "/livez").splitlines())
    assert metrics[:2] == [200, "text/plain; version=0.0.4"]
    assert "pydock_ready 0" in metrics[2]
    assert nowhere == [404, "text/plain", "no such metrics\n"]
    assert native[0] == 200


def test_the_declarations_of_today_are_not_more_than_a_row(copy: Path) -> None:
    """A verb over a job that there is: its file, and its row in the command line's table."""
    page = Page("verb.md")
    over_existing = [path for path in page.files if path.startswith("reconciler/cli/")]
    rows = [path for path, _, _ in page.rows if path.startswith("reconciler/cli/")]
    assert len(over_existing) + len(rows) == 2
