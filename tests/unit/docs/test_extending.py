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


def add(copy: scaffold.Copy, name: str, rows: set[str], places: set[str]) -> None:
    """Adds the page, which needs exactly these existing files, a row in each, and these new folders or files."""
    page = scaffold.Page(name)
    assert sorted(path for path, _, _ in page.rows) == sorted(rows)
    assert page.places() == places
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
loop.apply(document("Note", "todo", text="buy milk", reference="Registry.Example/Web is no image!"))
assert loop.ready(key) == ("True", "Active", ""), loop.ready(key)
assert loop.entry(key).desired.spec == {"text": "buy milk", "reference": "Registry.Example/Web is no image!"}
loop.apply(container("web"))
assert [each["keptBy"] for each in loop.ask("images")["items"]] == [[]]
assert loop.ask("images_unused", all=True)["items"] == []
loop.delete(container_key("web"))
assert len(loop.ask("images_unused", all=True)["items"]) == 1
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


PAIR = (
    PRELUDE
    + """
from reconciler.model.objects import Owner

key, a, b = Key.of("Pair", "two"), container_key("two-a"), container_key("two-b")

def uid(key):
    return loop.entry(key).desired.uid

def shown(key):
    return loop.ask("get", kind=key.kind, namespace=key.namespace, name=key.name)

# made
loop.apply(document("Pair", "two", image=IMAGE))
assert loop.observed("two-a").process == loop.observed("two-b").process == "running"
assert loop.ready(key) == ("True", "Active", ""), loop.ready(key)
(reference,) = shown(a)["metadata"]["ownerReferences"]
assert reference == {"apiVersion": "pydock.dev/v1", "kind": "Pair", "name": "two", "uid": uid(key),
                     "controller": True, "blockOwnerDeletion": True}, reference
assert shown(a)["status"]["owner"] == {"source": "object", "item": "pair/default/two"}
assert "ownerReferences" not in shown(key)["metadata"]
assert shown(a)["metadata"]["labels"] == {"pair": "two"}

# edits of what it made are refused, also by those who would take it over
taken = container("two-a")
taken["metadata"]["annotations"] = {"pydock.dev/take-over": "true"}
for job, args in (("apply", {"document": container("two-a", args=["x"])}), ("put", {"document": container("two-a")}),
                  ("post", {"document": container("two-a")}), ("apply", {"document": taken}),
                  ("patch", {"kind": "Container", "namespace": "default", "name": "two-a",
                             "patch": {"metadata": {"labels": {"x": "y"}}}})):
    said = refused(lambda: loop.ask(job, manager="me", **args))
    assert "owned by pair/default/two" in said, (job, said)

# deleted by hand it comes back; the other one is left alone
before = uid(a), uid(b), loop.observed("two-b").pid
loop.delete(a)
assert uid(a) != before[0] and (uid(b), loop.observed("two-b").pid) == before[1:]
assert loop.observed("two-a").process == "running" and loop.ready(key)[0] == "True"

# a change of one wakes the owner: it says what is amiss, and that it is well again
loop.ask("override", namespace="default", name="two-a", action="stop")
loop.settle()
assert loop.ready(key)[:2] == ("False", "OwnedObjectsNotReady") and str(a) in loop.ready(key)[2], loop.ready(key)
loop.ask("override", namespace="default", name="two-a", action="start")
loop.settle()
assert loop.ready(key)[0] == "True", loop.ready(key)

# not wanted any more, and again
loop.apply(document("Pair", "two", image=IMAGE, single=True))
assert not loop.exists(b) and loop.exists(a) and loop.ready(key)[0] == "True"
loop.apply(document("Pair", "two", image=IMAGE))
assert loop.observed("two-b").process == "running"

# changed: another image is another container in the same object
other = IMAGE.replace(":1", ":2")
from reconciler.testing import images
loop.registry.add(other, images.build([b"layer of another"], {"Cmd": ["serve"]}))
before = uid(a)
loop.apply(document("Pair", "two", image=other.replace("registry", "Registry")))
assert uid(a) == before and loop.entry(a).desired.spec == {"image": other}, loop.entry(a).desired.spec
assert loop.observed("two-a").incarnation.effective.image == other and loop.ready(key)[0] == "True"
jobs = len(loop.jobs(key))
loop.look(key)
assert len(loop.jobs(key)) == jobs, "it comes to rest"

# what somebody else holds is not taken
loop.apply(container("lone-b"))
loop.apply(document("Pair", "lone", image=IMAGE))
lone = Key.of("Pair", "lone")
assert loop.ready(lone)[1] == "Error" and "owned by api manager" in loop.ready(lone)[2], loop.ready(lone)
loop.delete(container_key("lone-b"))
loop.pass_time(400)
assert loop.ready(lone)[0] == "True", loop.ready(lone)
assert loop.entry(container_key("lone-b")).desired.owner.item == uid(lone)

# a plan that is only asked about holds the whole
plan = loop.ask("plan", documents=[document("Pair", "two", image=other)], delete=True)
steps = {step["id"] for step in plan["plan"]["steps"]}
assert {f"withdraw {a}", f"withdraw {b}"} <= steps, steps
plan = loop.ask("plan", documents=[document("Pair", "new", image=IMAGE)])
steps = {step["id"] for step in plan["plan"]["steps"]}
assert {"declare container/default/new-a", "declare container/default/new-b"} <= steps, steps

# deleted: all goes with it, and it goes last
loop.delete(key)
assert not loop.exists(key) and not loop.exists(a) and not loop.exists(b)
assert [job.name for job in loop.jobs(key)][-1] == "purge"

# vanished: what it made goes when it is looked at
with loop.store.transaction() as session:
    session.objects.purge(uid(lone))
children = [container_key("lone-a"), container_key("lone-b")]
loop.reconciler.look(children)
loop.settle()
assert not any(map(loop.exists, children)) and not loop.default_network_exists()
assert list(loop.exec.list()) == [], loop.exec.list()
loop.close()
print("works")
"""
)


def test_a_kind_that_owns_others_is_one_folder_and_one_row(copy: scaffold.Copy) -> None:
    add(copy, "owning-kind.md", {KINDS}, {"reconciler/kinds/pair"})
    assert {path for path in copy.touched() if "effects" in path or "drivers" in path} == set()
    assert copy.run("-c", PAIR) == "works\n"


PAD = (
    PRELUDE
    + """
from reconciler.cli.verbs import version
from reconciler.control import orphans
from reconciler.drivers import families

root = pathlib.Path(tempfile.mkdtemp())
opened = families.open_all("test", root, root, {}, ["pad"])
assert opened["pad"].version == f"files in {root}/pads"
(root / "file").touch()
try:
    families.open_all("test", root / "file", root, {}, ["pad"])
except errors.Permanent as error:
    assert "make its parent writable" in error.message
assert families.FAMILIES == ("exec", "graph", "network", "pad", "registry")
shown = version._section("server", {"drivers": {name: each.version for name, each in opened.items()}})
assert f"pad files in {root}/pads" in shown, shown
loop.parts.drivers = {name: each.driver for name, each in opened.items()}
key = Key.of("Pad", "todo")

def get(key):
    return loop.ask("get", kind=key.kind, namespace=key.namespace, name=key.name)

loop.apply(document("Pad", "todo", text="milk"))
file = root / "pads" / loop.entry(key).desired.uid
assert file.read_text() == "milk" and loop.ready(key)[0] == "True", loop.ready(key)
assert get(key)["status"]["bytes"] == 4
assert "Written" in loop.reasons(key) and [job.name for job in loop.jobs(key)] == ["pad_write"]
loop.look(key)
assert len(loop.jobs(key)) == 1
file.unlink()
loop.look(key)
assert file.read_text() == "milk" and loop.jobs(key)[-1].cause == "its file is missing"
loop.apply(document("Pad", "todo", text="bread"))
assert file.read_text() == "bread"

# a driver that fails: the object says so, and it is tried again
write = type(opened["pad"].driver).write
def broken(self, id, text):
    raise errors.Temporary("the disk is full")
type(opened["pad"].driver).write = broken
loop.apply(document("Pad", "todo", text="wine"))
assert loop.ready(key)[1:] == ("Error", "the disk is full"), loop.ready(key)
type(opened["pad"].driver).write = write
loop.pass_time(5)
assert file.read_text() == "wine" and loop.ready(key)[0] == "True"

lost = root / "pads" / "lost"
lost.touch()
assert orphans.sweep(loop.parts) == 1 and not lost.exists() and file.exists()
loop.delete(key)
assert not file.exists() and not loop.exists(key)
assert [job.name for job in loop.jobs(key)][-2:] == ["pad_remove", "purge"]
loop.close()
print("works")
"""
)


def test_a_kind_with_kernel_state_is_two_folders_and_two_rows(copy: scaffold.Copy) -> None:
    rows = {KINDS, "reconciler/drivers/families.py"}
    add(copy, "driver.md", rows, {"reconciler/kinds/pad", "reconciler/drivers/pad"})
    assert copy.run("-c", PAD) == "works\n"


FLAT = """
import pathlib, sys, tempfile
from reconciler import errors
from reconciler.drivers.graph import options
from reconciler.testing import graph_suite
from reconciler.testing.graph_suite.place import Place

root = pathlib.Path(tempfile.mkdtemp())
suite = graph_suite.GraphSuite()
for test in ("test_unpacking_again_has_no_effect_and_needs_no_blob", "test_layers_are_removed",
             "test_a_snapshot_is_writable_and_keeps_what_is_written", "test_snapshots_are_apart_from_each_other",
             "test_the_probe_says_driver_and_file_system"):
    place = Place(root / test, "flat")
    assert place.driver.name == "flat"
    getattr(suite, test)(place)
    place.close()
place = Place(root / "open", "flat", "flat.mode=711")
assert (root / "open" / "snapshots").stat().st_mode & 0o777 == 0o711
assert Place(root / "open", None).driver.name == "flat"
for driver, word, said in (("flat", "flat.mode=777", "expected 700 or 711"), ("flat", "flat.size=1", "flat.mode"),
                           ("vfs", "flat.mode=711", "the flat driver's, but this graph's is vfs")):
    try:
        Place(root / "refused", driver, word)
    except errors.Invalid as error:
        assert said in error.message, error.message
    else:
        raise AssertionError(word)
print("works")
"""


def test_a_graph_driver_is_one_file_and_one_row(copy: scaffold.Copy) -> None:
    page = scaffold.Page("graph-driver.md")
    assert list(page.files) == ["reconciler/drivers/graph/flat.py"]
    add(copy, "graph-driver.md", {"reconciler/drivers/graph/table.py"}, {"reconciler/drivers/graph/flat.py"})
    assert copy.run("-c", FLAT) == "works\n"


COMMIT = """
import pathlib, sys, tempfile
from reconciler.control.sources.manager import Manager
from reconciler.testing import wait
from reconciler.testing.sources import manifests
from reconciler.testing.store import memory_store

place, store = pathlib.Path(tempfile.mkdtemp()), memory_store()

def commit(name, *objects):
    (place / name).mkdir()
    (place / name / "all.yaml").write_text(manifests(*objects))
    (place / "HEAD").write_text(name)

def live():
    with store.snapshot() as session:
        return sorted(each.key.name for each in session.objects.find() if each.deleting_at is None)

manager = Manager(store, lambda keys: None)
commit("first", "a", "b")
name = manager.start(f"commit:{place}")
manager.load_all()
manager.start_all()
assert live() == ["a", "b"], live()
commit("second", "b", "c")
wait.until(lambda: live() == ["b", "c"], 5.0, "the second commit")
manager.stop(name)
assert live() == ["b", "c"]
manager.stop_all()
store.close()
print("works")
"""


def test_a_source_is_one_folder_and_one_row(copy: scaffold.Copy) -> None:
    add(copy, "source.md", {"reconciler/control/sources/table.py"}, {"reconciler/control/sources/commit"})
    assert copy.run("-c", COMMIT) == "works\n"


def test_the_table_names_each_page_and_each_file_that_gets_a_row() -> None:
    text = (scaffold.ROOT / "docs" / "extending.md").read_text()
    pages = sorted(path.name for path in scaffold.PAGES.glob("*.md"))
    assert all(f"](extending/{name})" in text for name in pages), pages
    tables = {path for name in pages for path, _, _ in scaffold.Page(name).rows} - {"reconciler/requests/table.py"}
    assert all(f"`{path}`" in text for path in tables), tables
