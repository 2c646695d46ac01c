"""A new field of a container needs one aspect file and one row: made in a copy of the tree, as the page says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "extending" / "field.md"
ASPECTS = "reconciler/kinds/container/aspects/"
SPEC = "reconciler/kinds/container/spec.py"
GENERATED = {"schemas/container.json", "docs/reference/manifests.md"}

#: a field whose edit is followed while the container runs
IN_PLACE = """
from __future__ import annotations

from typing import Annotated

from reconciler.kinds.container.aspects.base import Aspect, Running
from reconciler.model.fields import Field


def _live(spec):
    return spec.drain_seconds


def _apply(running: Running) -> None:
    running.exec.drain(running.id, running.spec.drain_seconds)


DrainSeconds = Annotated[
    int, Field("Seconds of draining.", in_place=True, least=0, most=60), Aspect("drain", live=_live, apply=_apply)
]
"""
#: run in the copy; each assertion is about what nobody wrote by hand
ANEW_FOLLOWS = """
import msgspec
from reconciler import errors, manifest
from reconciler.drivers.exec.base import TmpfsMount
from reconciler.kinds.base import comparison
from reconciler.kinds.container.aspects import table
from reconciler.kinds.container.aspects.base import Run
from reconciler.kinds.container.spec import ASPECTS, ContainerSpec
from reconciler.manifest import contract, merge
from reconciler.model.view import ImageFacts

def document(**spec):
    head = {"apiVersion": "pydock.dev/v1", "kind": "Container", "metadata": {"name": "web"}}
    return {**head, "spec": {"image": "a", **spec}}

def refused(**spec):
    try:
        manifest.check(document(**spec))
    except errors.Invalid as error:
        return str(error.problems[0])
    return ""

def changes(then, now):
    was, wanted = (msgspec.convert({"image": "a", **each}, ContainerSpec) for each in (then, now))
    return comparison.spec_changes({"image": "a", **then}, was, {"image": "a", **now}, wanted)

schema = contract.spec_of("Container")["properties"]["shmSize"]
assert schema["type"] == ["string", "integer"] and schema["x-pydock-change"] == "recreate"
assert not refused(shmSize="1Mi") and not refused(shmSize=1048576)
assert "is not a quantity" in refused(shmSize="much")
assert "0 bytes is out of range" in refused(shmSize=0)
(change,) = changes({}, {"shmSize": "1Mi"})
assert (change.path, change.old, change.new, change.in_place) == ("spec.shmSize", None, "1Mi", False)
assert changes({"shmSize": "1Mi"}, {"shmSize": "1024Ki"}) == []
parts = [{"spec": {"image": "a", "shmSize": size}} for size in ("1Mi", 1048576, "2Mi")]
assert merge.clashes(parts[1], parts[0], {"other": parts[0]}, "Container") == []
assert len(merge.clashes(parts[2], parts[0], {"other": parts[0]}, "Container")) == 1
spec = msgspec.convert({"image": "a", "shmSize": "1Mi", "mounts": [{"mountPath": "/a", "tmpfs": {}}]}, ContainerSpec)
facts = ImageFacts(reference="a", digest="", image_id="", size=0, chain_id="")
assert table.configure(ASPECTS, Run(spec, facts, "web"))["mounts"] == (
    TmpfsMount(target="/a"), TmpfsMount(target="/dev/shm", size=1048576))
older = msgspec.json.decode(b'{"image": "a", "restartPolicy": "Never"}', type=ContainerSpec)
assert (older.restart_policy, older.shm_size) == ("Never", None)
"""
IN_PLACE_FOLLOWS = """
import msgspec
from reconciler.kinds.base import comparison
from reconciler.kinds.container.aspects import table
from reconciler.kinds.container.aspects.base import Running
from reconciler.kinds.container.spec import ASPECTS, ContainerSpec
from reconciler.manifest import contract

schema = contract.spec_of("Container")["properties"]["drainSeconds"]
assert (schema["x-pydock-change"], schema["maximum"], schema["default"]) == ("in-place", 60, 5)
was, wanted = (msgspec.convert({"image": "a", "drainSeconds": each}, ContainerSpec) for each in (1, 2))
(change,) = comparison.spec_changes({"drainSeconds": 1}, was, {"drainSeconds": 2}, wanted)
assert (change.path, change.in_place) == ("spec.drainSeconds", True)

class Driver:
    def drain(self, id, seconds):
        self.told = (id, seconds)

driver = Driver()
(aspect,) = table.changed(ASPECTS, was, wanted)
aspect.apply(Running("id", wanted, driver))
assert driver.told == ("id", 2)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the generator reads and writes."""
    ignored = shutil.ignore_patterns("__pycache__", "testing")
    for name in ("reconciler", "schemas", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    return tmp_path


def contents(tree: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(tree)): path.read_bytes()
        for name in ("reconciler", "schemas", "docs")
        for path in (tree / name).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def add(tree: Path, file: str, aspect: str, words: str, row: str) -> None:
    """The aspect's file, and its import and row in the spec."""
    (tree / ASPECTS / file).write_text(aspect)
    text = (tree / SPEC).read_text()
    text = text.replace("from reconciler.model.fields import", f"{words}\nfrom reconciler.model.fields import", 1)
    last = re.findall(r"^    \w+: \w+ = .*\n", text, re.M)[-1]
    (tree / SPEC).write_text(text.replace(last, f"{last}    {row}\n"))


def run(tree: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, *words], cwd=tree, env={"PYTHONPATH": str(tree)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def documented() -> tuple[str, str, str]:
    """The code of the page: the aspect, the import, the row."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert len(blocks) == 3
    return blocks[0], blocks[1].strip(), blocks[2].strip()


def touched(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def test_a_field_that_makes_anew(tree: Path) -> None:
    before = contents(tree)
    add(tree, "shm.py", *documented())
    run(tree, "docs/generate.py")
    assert touched(before, contents(tree)) == {ASPECTS + "shm.py", SPEC} | GENERATED
    row = "| `shmSize` | string or integer |  | anew | Bytes of shared memory; 64 MiB when left out. |"
    assert row in (tree / "docs/reference/manifests.md").read_text()
    run(tree, "-c", ANEW_FOLLOWS)


def test_a_field_that_takes_effect_in_place(tree: Path) -> None:
    before = contents(tree)
    words = "from reconciler.kinds.container.aspects.drain import DrainSeconds"
    add(tree, "drain.py", IN_PLACE, words, "drain_seconds: DrainSeconds = 5")
    run(tree, "docs/generate.py")
    assert touched(before, contents(tree)) == {ASPECTS + "drain.py", SPEC} | GENERATED
    row = "| `drainSeconds` | integer 0 to 60 | `5` | in place | Seconds of draining. |"
    assert row in (tree / "docs/reference/manifests.md").read_text()
    run(tree, "-c", IN_PLACE_FOLLOWS)
