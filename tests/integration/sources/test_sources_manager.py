"""Sources that come and go while the daemon runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler import errors
from reconciler.control.sources import manager, table
from reconciler.control.sources.base import Source
from reconciler.control.sources.directory.source import DirectorySource
from reconciler.control.sources.ledger import facts
from reconciler.control.sources.manager import Manager
from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.store.base import Store
from reconciler.testing import wait
from reconciler.testing.sources import CommitSource, key, manifests
from reconciler.testing.store import memory_store

COMMITS = CommitSource("fleet")


def make(name: str) -> Source:
    """As the daemon does, but that removals need not be waited for long; and one source of another kind."""
    if name == COMMITS.name:
        return COMMITS
    found = table.make(name)
    assert isinstance(found, DirectorySource)
    found.patience = facts.Patience(loss=0.4, cut=0.4, gone=0.4)
    return found


class Host:
    """A manager as the daemon has it, with two directories."""

    def __init__(self, work: Path, opened: Store) -> None:
        self.store = opened
        self.troubles: list[str] = []
        self.told: list[Key] = []
        self.manager = Manager(opened, self.told.extend, self.troubles.append, make)
        self.first, self.second = work / "first", work / "second"
        for folder in (self.first, self.second):
            folder.mkdir()

    def boot(self) -> None:
        self.manager.start(f"dir:{self.first}")
        self.manager.load_all()
        self.manager.start_all()

    def live(self) -> dict[str, Desired]:
        with self.store.snapshot() as session:
            return {each.key.name: each for each in session.objects.find() if each.deleting_at is None}

    def until_names(self, names: str) -> None:
        wait.until(lambda: " ".join(sorted(self.live())) == names, 5.0, f"{names!r}")

    def states(self) -> dict[str, str]:
        return {Path(each["path"]).name: each["state"] for each in self.manager.status()}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    opened = memory_store()
    made = Host(tmp_path, opened)
    yield made
    made.manager.stop_all()
    opened.close()


def test_a_second_directory_starts_and_stops_at_run_time(host: Host) -> None:
    (host.first / "a.yaml").write_text(manifests("a"))
    host.boot()
    host.until_names("a")
    (host.second / "b.yaml").write_text(manifests("b"))
    name = host.manager.start(f"dir:{host.second}/")
    assert name == f"dir:{host.second}"
    host.until_names("a b")
    assert host.live()["b"].owner.source == name
    assert host.states() == {"first": "ok", "second": "ok"}
    threads = threading.active_count()

    # stopped: nothing is removed, and nothing is seen
    before = host.live()["b"]
    host.manager.stop(name)
    assert threading.active_count() < threads
    (host.second / "b.yaml").unlink()
    (host.second / "c.yaml").write_text(manifests("c"))
    (host.first / "d.yaml").write_text(manifests("d"))
    host.until_names("a b d")
    assert host.live()["b"] == before
    assert host.states() == {"first": "ok", "second": "stopped"}
    with pytest.raises(errors.NotFound):
        host.manager.ack(name, "0" * 16)

    # started again: what happened meanwhile counts, by the rules
    host.manager.start(name)
    host.until_names("a c d")
    assert host.states() == {"first": "ok", "second": "ok"}


def test_one_that_is_found_empty_when_it_starts_again_removes_nothing(host: Host) -> None:
    host.boot()
    (host.second / "b.yaml").write_text(manifests("b"))
    name = host.manager.start(f"dir:{host.second}")
    host.until_names("b")
    host.manager.stop(name)
    (host.second / "b.yaml").unlink()
    host.manager.start(name)
    assert host.states()["second"] == "held"
    held = next(each for each in host.manager.status() if each["name"] == name)
    assert host.manager.ack(name, held["digest"]) == ["container/default/b"]
    host.until_names("")


def test_an_object_of_one_source_is_refused_to_another(host: Host) -> None:
    (host.first / "a.yaml").write_text(manifests("a"))
    host.boot()
    host.until_names("a")
    (host.second / "a.yaml").write_text(manifests("a", image="other"))
    host.manager.start(f"dir:{host.second}")
    wait.until(lambda: host.states()["second"] == "problems", 5.0, "the refusal")
    assert host.manager.wanting(key("a")) == f"dir:{host.second}/a.yaml"
    assert host.live()["a"].spec["image"] == "a"
    host.manager.stop(f"dir:{host.second}")
    assert host.manager.wanting(key("a")) == ""


def test_a_source_of_another_kind_follows_the_same_rules_at_once(host: Host) -> None:
    """Of commits, which are complete: nothing waits for quiet, the guard and the claims are those of a directory."""
    (host.first / "a.yaml").write_text(manifests("a"))
    host.boot()
    host.until_names("a")
    COMMITS.commit({"b.yaml": manifests("b", "c"), "many.yaml": manifests(*"defgh")})
    host.manager.start(COMMITS.name)
    assert " ".join(sorted(host.live())) == "a b c d e f g h"
    COMMITS.commit({"z.yaml": manifests("b"), "many.yaml": manifests(*"defgh"), "a.yaml": manifests("a")})
    host.until_names("a b d e f g h")
    assert host.live()["b"].owner.item == "z.yaml"
    wait.until(lambda: host.manager.wanting(key("a")) == "commit:fleet/a.yaml", 5.0, "the refusal")
    COMMITS.commit({"z.yaml": manifests("b")})
    wait.until(lambda: host.states()["fleet"] == "held", 5.0, "the guard")
    host.manager.stop(COMMITS.name)
    host.until_names("a b d e f g h")
    assert host.states()["fleet"] == "stopped"


def test_started_twice_is_started_once(host: Host) -> None:
    host.boot()
    threads = threading.active_count()
    assert host.manager.start(f"dir:{host.first}/../first") == f"dir:{host.first}"
    assert threading.active_count() == threads
    assert len(host.manager.status()) == 1


def test_what_is_no_source_is_refused(host: Host) -> None:
    with pytest.raises(errors.Invalid, match="a source is one of dir:PLACE"):
        host.manager.start("svn:http://old/")
    with pytest.raises(errors.Invalid, match="whole path"):
        host.manager.start("dir:here")
    with pytest.raises(errors.NotFound, match="no source named"):
        host.manager.stop(f"dir:{host.second}")


def test_a_missing_place_is_told_from_the_start_and_when_it_comes(host: Host) -> None:
    host.first.rmdir()
    host.boot()
    missing = f"there is no directory {host.first}: make it with 'mkdir -p {host.first}'"
    assert host.troubles == [missing]
    assert host.manager.status()[0]["message"] == missing
    host.first.mkdir()
    (host.first / "a.yaml").write_text(manifests("a"))
    host.until_names("a")
    assert host.troubles == [missing, ""]
    assert host.states() == {"first": "ok"}


def test_a_look_that_hangs_does_not_hold_up_the_end(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network file system whose server is away; and it changes nothing when it comes back after all."""
    host.boot()
    hangs, goes_on = threading.Event(), threading.Event()
    loop: Any = host.manager._loops[f"dir:{host.first}"]
    scan = loop._source.scan

    def slow() -> Any:
        hangs.set()
        goes_on.wait(10)
        return scan()

    monkeypatch.setattr(loop._source, "scan", slow)
    monkeypatch.setattr(manager, "STOP", 0.2)
    (host.first / "a.yaml").write_text(manifests("a"))
    assert hangs.wait(5)
    began = time.monotonic()
    host.manager.stop_all()
    assert time.monotonic() - began < 2
    goes_on.set()
    loop._thread.join(5)
    assert host.live() == {}
