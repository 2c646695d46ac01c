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
from reconciler.control.sources.loop import DirectoryLoop, DirectorySource
from reconciler.model.keys import Key
from reconciler.model.objects import Desired, Owner
from reconciler.testing import wait
from reconciler.testing.sources import key, manifests
from reconciler.testing.store import memory_store


class Host:
    """A directory, a store, and the loop between them."""

    def __init__(self, folder: Path, opened: Any) -> None:
        self.folder, self.store = folder, opened
        self.told: list[tuple[float, list[Key]]] = []
        self.loop = self.make()

    def make(self) -> DirectoryLoop:
        return DirectoryLoop(
            DirectorySource(self.folder), self.store, lambda keys: self.told.append((time.monotonic(), keys))
        )

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
        (status,) = self.loop.status()
        return status

    def file(self, path: str) -> dict[str, Any]:
        return next((each for each in self.status()["files"] if each["path"] == path), {})

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
    assert host.names() == "a b"
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
    host.write("a.yaml", manifests("a", "b"))
    host.start()
    host.until_names("a b")
    text = manifests("a", "b", image="slow")
    with open(host.folder / "a.yaml", "w", buffering=1) as file:
        for at in range(0, len(text), 16):
            file.write(text[at : at + 16])
            file.flush()
            assert host.names() == "a b"
            threading.Event().wait(0.03)
    host.until(lambda: {each.spec["image"] for each in host.live().values()} == {"slow"})


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
    }
    assert host.file("b.yaml") == {"path": "b.yaml", "state": "ok", "objects": 1, "problems": []}
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
        host.loop.ack(host.status()["name"], "0" * 16)
    with pytest.raises(errors.NotFound):
        host.loop.ack("dir:/elsewhere", held["digest"])
    assert len(host.live()) == 6
    host.told.clear()
    assert host.loop.ack(held["name"], held["digest"]) == held["held"]
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
        wait.until(
            lambda: host.loop.ack(held["name"], held["digest"]) if not host.status()["held"] else None, 5, "a conflict"
        )
    assert len(host.live()) == 6


def test_a_missing_root_and_one_that_is_made_again(host: Host) -> None:
    host.write("a.yaml", manifests("a"))
    host.start()
    host.until_names("a")
    uid = host.live()["a"].uid
    shutil.rmtree(host.folder)
    missing = host.until(lambda: host.status() if host.status()["state"] == "unavailable" else None)
    assert missing["message"] == f"{host.folder}: no such file or directory"
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
    host.until(lambda: host.file("a.yaml").get("state") == "invalid")
    assert host.file("a.yaml")["problems"] == [
        "a.yaml: container/default/a is already held by api manager 'kubectl': keep it in one of the two"
    ]
    assert host.live()["a"].uid == theirs.uid
    with host.store.transaction() as session:
        session.objects.mark_deleting(theirs.uid, time.time())
    host.until(lambda: "a" in host.live())
    assert host.live()["a"].owner.item == "a.yaml"


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
    began = time.monotonic()
    changed = host.start()
    assert len(changed) == 10_000
    assert time.monotonic() - began < 60
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
