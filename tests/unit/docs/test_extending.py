"""Kinds, drivers and sources are added as ``docs/extending`` says, in a copy of the tree; they work, and what they
touch is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.testing import scaffold

KINDS = "reconciler/model/kinds.py"


@pytest.fixture
def copy(tmp_path: Path) -> scaffold.Copy:
    return scaffold.Copy(tmp_path)


def add(copy: scaffold.Copy, name: str, rows: set[str], folders: set[str]) -> None:
    """Adds the page, which needs exactly these existing files, a row in each, and these new folders."""
    page = scaffold.Page(name)
    assert sorted(path for path, _, _ in page.rows) == sorted(rows)
    assert page.folders() == folders
    copy.add(page)
    copy.generate()
    assert copy.touched() == rows | page.files.keys()


#: what ``-c`` programs begin with
PRELUDE = """
import pathlib, tempfile
from reconciler import errors, manifest
from reconciler.model.keys import Key
from reconciler.testing.loop import IMAGE, Loop, container, container_key

def document(kind, name, **spec):
    return {"apiVersion": "pydock.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}

def refused(ask):
    try:
        ask()
    except errors.PydockError as error:
        return str(error)
    return ""

loop = Loop(pathlib.Path(tempfile.mkdtemp()))
"""

NOTE = (
    PRELUDE
    + """
from falcon import testing
import socket
from reconciler.api import streams
from reconciler.api.fronts import table
from reconciler.cli import columns, peek
from reconciler.engine import front
from reconciler.ipc import EngineClient, EngineServer
from reconciler.model import kinds

key = Key.of("Note", "todo")
text = b"apiVersion: pydock.dev/v1\\nkind: Note\\nmetadata: {name: todo}\\nspec: {text: 1.50}\\n"
(problem,) = manifest.load(text, "n.yaml").problems
assert problem.field == "spec.text" and problem.line == 4, problem
assert "unknown" in refused(lambda: manifest.check(document("Note", "todo", text="a", txt="b")))
loop.apply(document("Note", "todo", text="buy milk", about="Registry.Example/Web"))
assert loop.ready(key) == ("True", "Active", ""), loop.ready(key)
assert loop.entry(key).desired.spec == {"text": "buy milk", "about": "Registry.Example/Web"}
generation = loop.entry(key).desired.generation
assert loop.apply(document("Note", "todo", text="buy bread"))["outcome"] == "configured"
assert loop.entry(key).desired.generation == generation + 1
assert loop.jobs(key) == []

ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server = EngineServer(theirs, front.Front(loop.engine).serve)
server.start()
client = testing.TestClient(table.make_app(EngineClient(ours), streams.Streams()), headers={"Host": "localhost"})
base = "/apis/pydock.dev/v1"
(shown,) = client.simulate_get(f"{base}/namespaces/default/notes").json["items"]
assert shown["kind"] == "Note" and shown["status"]["phase"] == "Active", shown
assert client.simulate_get(f"{base}/notes?labelSelector=a=b").json["items"] == []
(found,) = [each for each in client.simulate_get(base).json["resources"] if each["name"] == "notes"]
assert found["kind"] == "Note" and "patch" in found["verbs"], found
assert f"{base}/namespaces/{{namespace}}/notes/{{name}}" in client.simulate_get("/openapi.json").json["paths"]
row = {each.header: each.cell(shown) for each in columns.of(kinds.find("note"))}
assert (row["NAME"], row["READY"], row["STATUS"]) == ("todo", "True", "Active"), row
assert list(row) == ["NAME", "READY", "STATUS", "AGE"]
(glimpse,) = peek.glance(b"apiVersion: pydock.dev/v1\\nkind: Note\\nmetadata:\\n  name: todo\\nspec:\\n  text: a\\n")
assert (glimpse.kind.name, glimpse.name) == ("Note", "todo")
answer = client.simulate_delete(f"{base}/namespaces/default/notes/todo")
assert answer.status_code == 200, answer.text
loop.settle()
assert not loop.exists(key) and [job.name for job in loop.jobs(key)] == ["purge"]
assert client.simulate_get(f"{base}/namespaces/default/notes/todo").status_code == 404
server.close(); ours.close(); loop.close()
print("works")
"""
)


def test_a_kind_that_holds_data_is_one_folder_and_one_row(copy: scaffold.Copy) -> None:
    add(copy, "kind.md", {KINDS}, {"reconciler/kinds/note"})
    assert copy.run("-c", NOTE) == "works\n"
    assert "## Note" in (copy.root / "docs/reference/manifests.md").read_text()
    assert (copy.root / "schemas/note.json").is_file()
    assert "`note`, `notes`" in (copy.root / "docs/reference/cli.md").read_text()
