"""The whole source on a real directory with a real store: from a file to an object and back."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler import errors, store
from reconciler.control.sources.directory.source import DirectorySource
from reconciler.control.sources.ledger import facts
from reconciler.control.sources.loop import SourceLoop
from reconciler.model.keys import Key
from reconciler.model.objects import Desired, Owner
from reconciler.testing import wait
from reconciler.testing.sources import key, manifests
from reconciler.testing.store import memory_store

#: the real one but for waits that are longer than these tests need
PATIENCE = facts.Patience(loss=0.4, cut=0.6, gone=0.4)


class Host:
    """A directory, a store, and the loop between them."""

    def __init__(self, folder: Path, opened: Any) -> None:
        self.folder, self.store = folder, opened
        self.told: list[tuple[float, list[Key]]] = []
        self.loop = self.make()

    def make(self) -> SourceLoop:
        source = DirectorySource(str(self.folder))
        source.patience = PATIENCE
        return SourceLoop(source, self.store, lambda keys: self.told.append((time.monotonic(), keys)))

    def start(self) -> list[Key]:
        changed = self.loop.load_once()
        self.loop.start()
        return changed

    def restart(self) -> list[Key]:
        self.loop.stop()
        self.loop = self.make()
        return self.start()

    def write(self, path: str, text: str) -> float:
        """As a careful program does: a rename of what is complete. Returns when."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = target.with_name(f".{target.name}.new")
        hidden.write_text(text)
        hidden.rename(target)
        return time.monotonic()

    def live(self) -> dict[str, Desired]:
        with self.store.snapshot() as session:
            return {each.key.name: each for each in session.objects.find() if each.deleting_at is None}

    def names(self) -> str:
        return " ".join(sorted(self.live()))

    def status(self) -> dict[str, Any]:
        return self.loop.status()

    def file(self, path: str) -> dict[str, Any]:
        return next((each for each in self.status()["files"] if each["path"] == path), {})

    def remark(self, name: str) -> str:
        """Reason and message of the object's condition Source; empty if it has none."""
        with self.store.snapshot() as session:
            found = session.rendered(self.live()[name].uid)["status"]["conditions"]
        return next((f"{each['reason']}: {each['message']}" for each in found if each["type"] == "Source"), "")

    def events(self, name: str) -> list[tuple[str, str, str]]:
        with self.store.snapshot() as session:
            return [(each.type, each.reason, each.message) for each in session.events.find(str(key(name)))]

    def until(self, predicate: Callable[[], Any], what: str = "") -> Any:
        return wait.until(predicate, 5.0, what or f"something else than {self.names()!r}")

    def until_names(self, names: str) -> None:
        self.until(lambda: self.names() == names, f"{names!r}")

    def settled(self) -> None:
        """Until a look has seen all that is there now: a new file is read and gone again."""
        self.write("zz-marker.yaml", "{}")
        self.until(lambda: self.file("zz-marker.yaml").get("state") == "invalid")
        (self.folder / "zz-marker.yaml").unlink()
        self.until(lambda: not self.file("zz-marker.yaml"))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    folder = tmp_path / "pydock.d"
    folder.mkdir()
    made = Host(folder, memory_store())
    yield made
    made.loop.stop()
    made.store.close()


def test_from_rename_to_object_within_350_ms_and_thirty_in_one_go(host: Host) -> None:
    host.start()
    began = host.write("a.yaml", manifests("a"))
    host.until(lambda: host.told)
    assert host.told[0][1] == [key("a")]
    assert 0.2 < host.told[0][0] - began < 0.35
    assert host.live()["a"].owner == Owner(f"dir:{host.folder}", "a.yaml")
    host.told.clear()
    for number in range(30):
        began = host.write(f"{number}.yaml", manifests(f"c{number}"))
    host.until(lambda: len(host.live()) == 31)
    assert [len(keys) for _, keys in host.told] == [30]
    assert host.told[0][0] - began < 0.35


def test_load_once_reads_what_is_quiet_and_leaves_the_rest_to_the_loop(host: Host) -> None:
    host.write("old.yaml", manifests("old"))
    wait.until(lambda: time.time() - (host.folder / "old.yaml").stat().st_ctime > 0.3, 5, "age")
    host.write("new.yaml", manifests("new"))
    assert host.loop.load_once() == [key("old")]
    host.loop.start()
    host.until_names("new old")


def test_a_second_start_changes_nothing(host: Host) -> None:
    host.write("a.yaml", manifests("a", "b"))
    host.start()
    host.until_names("a b")
    host.settled()
    with host.store.snapshot() as session:
        before = session.changes.latest()
    host.told.clear()
    assert host.restart() == []
    host.settled()
    with host.store.snapshot() as session:
        assert session.changes.latest() == before
    assert host.told == []


def test_edit_move_and_delete(host: Host) -> None:
    host.write("a.yaml", manifests("a", "b"))
    host.start()
    host.until_names("a b")
    uid = host.live()["a"].uid
    host.write("a.yaml", manifests("a", image="new"))
    host.until(lambda: host.live()["a"].spec["image"] == "new")
    assert host.live()["a"].generation == 2
    host.until_names("a")
    (host.folder / "deep/er").mkdir(parents=True)
    (host.folder / "a.yaml").rename(host.folder / "deep/er/z.json.yaml")
    host.until(lambda: host.live()["a"].owner.item == "deep/er/z.json.yaml")
    assert (host.live()["a"].uid, host.live()["a"].generation) == (uid, 2)
    shutil.rmtree(host.folder / "deep")
    host.until_names("")


def test_files_in_a_tree_that_appears_at_once(host: Host, tmp_path: Path) -> None:
    host.start()
    (tmp_path / "tree/x/y").mkdir(parents=True)
    (tmp_path / "tree/x/y/a.yaml").write_text(manifests("a"))
    (tmp_path / "tree").rename(host.folder / "tree")
    host.until_names("a")
    (host.folder / "tree/x/y/b.yaml").write_text(manifests("b"))
    host.until_names("a b")


def test_data_swaps_take_effect(host: Host) -> None:
    for version in ("1", "2"):
        (host.folder / f"..{version}").mkdir()
        (host.folder / f"..{version}/web.yaml").write_text(manifests("web", image=f"v{version}"))
    (host.folder / "..data").symlink_to("..1")
    (host.folder / "web.yaml").symlink_to("..data/web.yaml")
    host.start()
    host.until_names("web")
    (host.folder / "..new").symlink_to("..2")
    (host.folder / "..new").rename(host.folder / "..data")
    shutil.rmtree(host.folder / "..1")
    host.until(lambda: host.live()["web"].spec["image"] == "v2")


def test_the_root_as_a_link_that_is_swapped(host: Host, tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "web.yaml").write_text(manifests("web", image=f"v{version}"))
    host.folder.rmdir()
    host.folder.symlink_to("1")
    host.start()
    host.until_names("web")
    (tmp_path / "new").symlink_to("2")
    (tmp_path / "new").rename(host.folder)
    host.until(lambda: host.live()["web"].spec["image"] == "v2")
    assert host.status()["held"] == []


def test_written_slowly_the_last_good_version_stays(host: Host) -> None:
    """However long the writer pauses: what is half there is as good as a whole manifest."""
    host.write("a.yaml", manifests("a", "b"))
    host.start()
    host.until_names("a b")
    text = manifests("a", "b", image="slow")
    with open(host.folder / "a.yaml", "w", encoding="utf-8") as file:
        file.write(text[: text.index("---", 3)])
        file.flush()
        writing = host.until(lambda: host.file("a.yaml") if host.file("a.yaml")["state"] == "writing" else None)
        assert writing["message"].startswith("still being written: ")
        assert writing["message"].endswith(f" (pid {os.getpid()}) has it open")
        host.until(lambda: host.remark("a").startswith("BeingWritten: a.yaml is still being written"))
        assert {each.spec["image"] for each in host.live().values()} == {"a"}
        assert host.status()["state"] == "problems"
        file.write(text[text.index("---", 3) :])
    host.until(lambda: {each.spec["image"] for each in host.live().values()} == {"slow"})
    assert (host.remark("a"), host.status()["state"]) == ("", "ok")


@pytest.mark.parametrize("until", ["---\napiVersion: pydock.dev/v1\nkind: Image", "  workingDir", "-data"])
def test_written_in_steps_the_last_good_version_stays(host: Host, until: str) -> None:
    """By a writer that closes the file in between: after a document, after a line, within a line."""
    text = (
        "apiVersion: pydock.dev/v1\nkind: Container\nmetadata:\n  name: a\n  labels: {z: z, a: a}\nspec:\n"
        "  image: a\n  hostname: a\n  command: [x]\n  workingDir: /x-data\n"
        "---\napiVersion: pydock.dev/v1\nkind: Image\nmetadata: {name: b}\nspec: {reference: b}\n"
    )
    host.write("a.yaml", text)
    host.start()
    host.until_names("a b")
    before = {name: (each.uid, each.generation) for name, each in host.live().items()}
    cut = text.index(until)
    (host.folder / "a.yaml").write_text(text[:cut])
    pending = host.until(lambda: host.file("a.yaml")["message"])
    assert pending.startswith(
        "the end of what is in force is missing in it, so it may be half-written: it takes effect in "
    )
    with open(host.folder / "a.yaml", "a", encoding="utf-8") as file:
        file.write(text[cut:])
    host.until(lambda: host.file("a.yaml")["state"] == "ok")
    assert {name: (each.uid, each.generation) for name, each in host.live().items()} == before


def test_removed_and_written_again_costs_nothing(host: Host) -> None:
    host.write("a.yaml", manifests("a"))
    host.start()
    host.until_names("a")
    uid = host.live()["a"].uid
    (host.folder / "a.yaml").unlink()
    gone = host.until(lambda: host.file("a.yaml")["message"])
    assert gone.startswith("what it held is removed in ")
    host.write("a.yaml", manifests("a", image="new"))
    host.until(lambda: host.live()["a"].spec["image"] == "new")
    assert host.live()["a"].uid == uid


def test_problems_are_told_with_file_line_and_column(host: Host) -> None:
    host.write("a.yaml", "apiVersion: pydock.dev/v1\nkind: Container\nmetadata: {name: a}\nspec:\n  image: 5\n")
    host.write("b.yaml", manifests("b"))
    host.start()
    host.until_names("b")
    assert host.file("a.yaml") == {
        "path": "a.yaml",
        "state": "invalid",
        "objects": 0,
        "problems": ['a.yaml:5:10: spec.image: found 5, which YAML takes for the number 5: write "5" to mean the text'],
        "message": "",
    }
    assert host.file("b.yaml") == {"path": "b.yaml", "state": "ok", "objects": 1, "problems": [], "message": ""}
    assert (host.status()["state"], host.status()["message"]) == ("problems", "1 of 2 files is not in force as written")
    with host.store.snapshot() as session:
        files = session.sources.files(f"dir:{host.folder}")
    assert files["a.yaml"][1] == tuple(host.file("a.yaml")["problems"])


def test_a_fifo_or_a_link_out_does_not_stop_the_others(host: Host) -> None:
    os.mkfifo(host.folder / "a.yaml")
    (host.folder / "b.yaml").symlink_to("/etc/shadow")
    host.write("c.yaml", manifests("c"))
    host.start()
    host.until_names("c")
    assert (host.file("a.yaml")["state"], host.file("b.yaml")["state"]) == ("unreadable", "unreadable")
    assert "root:" not in str(host.status())


def test_held_until_acknowledged_across_a_restart(host: Host) -> None:
    for number in range(6):
        host.write(f"{number}.yaml", manifests(f"c{number}"))
    host.start()
    host.until(lambda: len(host.live()) == 6)
    for number in range(5):
        (host.folder / f"{number}.yaml").unlink()
    held = host.until(lambda: host.status() if host.status()["state"] == "held" else None)
    assert held["held"] == [f"container/default/c{number}" for number in range(5)]
    assert held["objects"] == 6
    assert host.file("0.yaml")["state"] == "gone"
    host.restart()
    assert host.status()["digest"] == held["digest"]
    with pytest.raises(errors.Conflict):
        host.loop.ack("0" * 16)
    assert len(host.live()) == 6
    host.told.clear()
    assert host.loop.ack(held["digest"]) == held["held"]
    assert [len(keys) for _, keys in host.told] == [5]
    host.restart()
    assert host.names() == "c5"
    assert host.status()["state"] == "ok"


def test_an_acknowledgement_that_comes_too_late_removes_nothing(host: Host) -> None:
    for number in range(6):
        host.write(f"{number}.yaml", manifests(f"c{number}"))
    host.start()
    host.until(lambda: len(host.live()) == 6)
    for number in range(6):
        (host.folder / f"{number}.yaml").unlink()
    held = host.until(lambda: host.status() if len(host.status()["held"]) == 6 else None)
    for number in range(6):
        host.write(f"{number}.yaml", manifests(f"c{number}"))
    with pytest.raises(errors.Conflict):
        wait.until(lambda: host.loop.ack(held["digest"]) if not host.status()["held"] else None, 5, "a conflict")
    assert len(host.live()) == 6


def test_a_missing_root_and_one_that_is_made_again(host: Host) -> None:
    host.write("a.yaml", manifests("a"))
    host.start()
    host.until_names("a")
    uid = host.live()["a"].uid
    shutil.rmtree(host.folder)
    missing = host.until(lambda: host.status() if host.status()["state"] == "unavailable" else None)
    assert missing["message"] == f"there is no directory {host.folder}: make it with 'mkdir -p {host.folder}'"
    assert missing["held"] == ["container/default/a"]
    host.folder.mkdir()
    host.write("a.yaml", manifests("a"))
    host.until(lambda: host.status()["state"] == "ok")
    assert host.live()["a"].uid == uid
    host.write("b.yaml", manifests("b"))
    host.until_names("a b")


def test_a_mount_that_goes_takes_nothing_along(host: Host) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", host.folder], check=True)
    try:
        host.write("a.yaml", manifests("a"))
        host.start()
        host.until_names("a")
    finally:
        subprocess.run(["umount", "-l", host.folder], check=True)
    host.loop.rescan()
    host.until(lambda: host.status()["state"] == "held")
    assert "another mount" in host.status()["message"]
    assert host.restart() == []
    assert (host.status()["held"], host.names()) == (["container/default/a"], "a")


def test_an_object_of_the_api_is_taken_once_it_is_gone(host: Host) -> None:
    host.start()
    with host.store.transaction() as session:
        theirs = session.objects.create(key("a"), {}, {}, {"image": "x"}, Owner("api", "kubectl"), time.time())
    host.write("a.yaml", manifests("a"))
    host.until(lambda: host.file("a.yaml").get("state") == "refused")
    assert host.file("a.yaml")["problems"] == [
        "a.yaml: container/default/a is already held by api manager 'kubectl': keep it in one of the two"
    ]
    assert host.live()["a"].uid == theirs.uid
    with host.store.transaction() as session:
        session.objects.mark_deleting(theirs.uid, time.time())
    host.until(lambda: "a" in host.live())
    assert host.live()["a"].owner.item == "a.yaml"


def test_while_a_file_is_ahead_its_objects_say_so(host: Host) -> None:
    host.write("a.yaml", manifests("a", "b"))
    host.start()
    host.until_names("a b")
    with host.store.snapshot() as session:
        before = session.changes.latest()
    host.write("a.yaml", manifests("a", image="new") + "---\nkind: Contaner\n")
    host.until(lambda: host.remark("b").startswith("Invalid: a.yaml:4:1: "))
    assert host.status()["state"] == "problems"
    with host.store.snapshot() as session:
        assert len(session.changes.since(before)) == 2
    assert [each[:2] for each in host.events("b")] == [("Warning", "Invalid")]
    host.told.clear()
    host.restart()
    host.settled()
    with host.store.snapshot() as session:
        assert len(session.changes.since(before)) == 2
    host.write("a.yaml", manifests("a", "b", image="new"))
    host.until(lambda: not host.remark("b"))
    assert (host.live()["b"].generation, host.status()["state"]) == (2, "ok")


def test_a_second_claim_is_an_event_of_the_object(host: Host) -> None:
    """Of the source's own ones, and of others'."""
    with host.store.transaction() as session:
        session.objects.create(key("x"), {}, {}, {"image": "x"}, Owner("api", "kubectl"), time.time())
    host.write("web.yaml", manifests("a"))
    shutil.copy(host.folder / "web.yaml", host.folder / "web (copy).yaml")
    host.write("x.yaml", manifests("x"))
    host.start()
    host.until(lambda: host.events("a") and host.events("x"))
    said = "web (copy).yaml names it too and is refused: web.yaml holds it"
    assert (host.live()["a"].owner.item, host.events("a")) == ("web.yaml", [("Warning", "SecondClaim", said)])
    assert host.remark("a") == f"SecondClaim: {said}"
    said = f"dir:{host.folder}/x.yaml names it too and is refused: api manager 'kubectl' holds it"
    assert host.events("x") == [("Warning", "SecondClaim", said)]
    assert (host.loop.wanting(key("x")), host.loop.wanting(key("a"))) == ("x.yaml", "")


def test_a_file_takes_an_object_over_from_the_api(host: Host) -> None:
    with host.store.transaction() as session:
        theirs = session.objects.create(key("a"), {}, {}, {"image": "a"}, Owner("api", "kubectl"), time.time())
        session.objects.set_applied(theirs.uid, "kubectl", {"labels": {}, "annotations": {}, "spec": {"image": "a"}})
    text = manifests("a").replace("{name: a}", '{name: a, annotations: {pydock.dev/take-over: "true"}}')
    host.write("a.yaml", text)
    host.start()
    host.until(lambda: host.live()["a"].owner.source == f"dir:{host.folder}")
    assert (host.live()["a"].uid, host.live()["a"].generation) == (theirs.uid, 1)
    with host.store.snapshot() as session:
        assert session.objects.applied(theirs.uid) == {}
    said = f"dir:{host.folder}/a.yaml has taken it over from api manager 'kubectl'"
    assert host.events("a") == [("Normal", "OwnerChanged", said)]
    assert host.file("a.yaml")["state"] == "ok"


class _Untouchable(dict[str, Any]):
    """A table that only the loop may look through."""

    def _refuse(self) -> Any:
        raise AssertionError(f"looked through in {threading.current_thread().name}")

    __iter__ = values = items = keys = _refuse


def test_a_change_in_the_store_looks_through_nothing_that_the_loop_may_change(host: Host) -> None:
    """It is heard of in the writer's thread, perhaps in the middle of a look."""
    with host.store.transaction() as session:
        theirs = session.objects.create(key("a"), {}, {}, {"image": "x"}, Owner("api", "kubectl"), time.time())
    host.write("a.yaml", manifests("a"))
    host.start()
    host.until(lambda: host.file("a.yaml").get("state") == "refused")
    loop: Any = host.loop
    with loop._lock:
        ledger = loop._ledger
        kept, ledger.files.by_path = ledger.files.by_path, _Untouchable()
        loop._source.drain()
        with host.store.transaction() as session:
            session.objects.mark_deleting(theirs.uid, time.time())
        assert loop._source._watch._happened.is_set()
        ledger.files.by_path = kept
    host.until(lambda: "a" in host.live() and host.live()["a"].uid != theirs.uid)


def test_a_store_that_fails_is_tried_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.start()
    good, calls = host.store.transaction, []

    def transaction(durable: bool = True) -> Any:
        calls.append(durable)
        if len(calls) < 3:
            raise errors.Temporary("disk full")
        return good(durable)

    monkeypatch.setattr(host.store, "transaction", transaction)
    host.write("a.yaml", manifests("a"))
    host.until_names("a")
    assert len(calls) >= 3


def test_ten_thousand_files(host: Host) -> None:
    for number in range(10_000):
        folder = host.folder / str(number // 500)
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.yaml").write_text(manifests(f"c{number}"))
    wait.until(lambda: time.time() - (host.folder / "19/9999.yaml").stat().st_ctime > 0.3, 5, "age")
    began = time.thread_time()
    changed = host.start()
    assert len(changed) == 10_000
    assert time.thread_time() - began < 60
    host.told.clear()
    began = host.write("0/0.yaml", manifests("c0", image="new"))
    wait.until(lambda: host.told, 10, "one change")
    assert host.told[0][1] == [key("c0")]
    assert host.told[0][0] - began < 5
    began = time.monotonic()
    assert host.restart() == []
    assert time.monotonic() - began < 60


def test_on_a_real_database_what_was_told_is_on_disk(tmp_path: Path) -> None:
    folder = tmp_path / "pydock.d"
    folder.mkdir()
    opened = store.open_store(tmp_path / "state.db")
    host = Host(folder, opened)
    try:
        host.start()
        host.write("a.yaml", manifests("a"))
        host.until(lambda: host.told)
    finally:
        host.loop.stop()
        opened.close()
    opened = store.open_store(tmp_path / "state.db")
    again = Host(folder, opened)
    try:
        assert again.names() == "a"
        assert again.start() == []
    finally:
        again.loop.stop()
        opened.close()


def test_idle_costs_nothing_and_no_thread_or_descriptor_is_left(host: Host) -> None:
    host.write("a.yaml", manifests("a"))

    files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()

    def is_clean() -> bool:
        """watchfiles' own thread ends a moment later; also that of the test before, which is why there may be fewer."""
        return len(os.listdir("/proc/self/fd")) <= files and threading.active_count() <= threads

    host.start()
    host.until_names("a")
    host.settled()
    threading.Event().wait(2.5)
    used = time.process_time()
    threading.Event().wait(1.0)
    assert time.process_time() - used < 0.005
    host.loop.stop()
    wait.until(is_clean, 2.0, "all threads and descriptors to be gone")
