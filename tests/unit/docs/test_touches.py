"""How many files a new verb and a new front touch: counted on one that is really added, and really works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.testing.scaffold import Copy, Page


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


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


def test_a_verb_with_a_new_job_is_three_files_and_two_rows(copy: Copy) -> None:
    page = Page("verb.md")
    assert (len(page.files), len(page.rows)) == (3, 2)
    copy.add(page)
    copy.generate()
    assert copy.touched() == page.files.keys() | {path for path, _, _ in page.rows}
    assert '"count": Call("GET"' in (copy.root / "reconciler/client/calls.py").read_text()
    assert "## count" in (copy.root / "docs/reference/api.md").read_text()
    assert "## `pydock count`" in (copy.root / "docs/reference/cli.md").read_text()
    (line,) = copy.run("-c", ASK, "/apis/pydock.dev/v1/count?kind=container").splitlines()
    code, _, text = json.loads(line)
    assert (code, json.loads(text)) == (200, {"count": 2})
    assert "How many objects" in copy.run("-m", "reconciler.cli.main", "count", "--help")


def test_a_front_is_one_folder_and_one_row(copy: Copy) -> None:
    page = Page("front.md")
    assert {Path(path).parent for path in page.files} == {Path("reconciler/api/fronts/metrics")}
    assert len(page.rows) == 1
    copy.add(page)
    assert copy.touched() == page.files.keys() | {"reconciler/api/fronts/table.py"}
    metrics, nowhere, native = map(json.loads, copy.run("-c", ASK, "/metrics", "/metrics/x", "/livez").splitlines())
    assert metrics[:2] == [200, "text/plain; version=0.0.4"]
    assert "pydock_ready 0" in metrics[2]
    assert nowhere == [404, "text/plain", "no such metrics\n"]
    assert native[0] == 200


def test_the_declarations_of_today_are_not_more_than_a_row() -> None:
    """A verb over a job that there is: its file, and its row in the command line's table."""
    page = Page("verb.md")
    over_existing = [path for path in page.files if path.startswith("reconciler/cli/")]
    rows = [path for path, _, _ in page.rows if path.startswith("reconciler/cli/")]
    assert len(over_existing) + len(rows) == 2
