"""kill -9 of the controller and of the API process at any moment, again and again, while objects come and go.

Whatever was acknowledged holds in the end: what was created runs once, what was deleted is gone, nothing is left over.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent import futures as threads
from dataclasses import dataclass, field

import pytest

from reconciler import store
from reconciler.testing import faults, images, leaks_host, wait
from reconciler.testing.daemon import Pydockd, path

KILLS = 30
ROUNDS = 50
#: seconds between kills: from the middle of a start to the middle of an operation
SHORTEST, LONGEST = 0.05, 1.2
#: netlink sockets that the daemon may keep for the next use: far fewer than there are rounds
KEPT = Counter({"socket:[N]": 8})
#: creations that may begin between two kills, so that there is always something under way
AT_ONCE = 2


@dataclass
class Editor:
    """Creates and deletes containers, some by files, and notes what was acknowledged. ``wanted`` holds what must run,
    ``unwanted`` what must be gone; what had no answer is in neither until it is asked for again."""

    host: Pydockd
    image: str
    chance: random.Random
    wanted: dict[str, faults.Subject] = field(default_factory=dict)
    unwanted: dict[str, faults.Subject] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)
    turns: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE))

    def run(self) -> None:
        for number in range(ROUNDS):
            self.turns.acquire()
            subject = faults.Subject(self.host, self.image, f"c{number}", images.free_port())
            by_file = number % 5 == 0
            (self.write if by_file else self.create)(subject)
            if len(self.wanted) > 6:
                victim = self.chance.choice(sorted(self.wanted))
                self.remove(victim)

    def create(self, subject: faults.Subject) -> None:
        url = path("Container", subject.name) + "?fieldManager=test"
        self._insist("PATCH", url, subject.manifest(), "application/apply-patch+json")
        self.wanted[subject.name] = subject

    def write(self, subject: faults.Subject) -> None:
        aside = self.host.work / f"{subject.name}.json"
        aside.write_text(json.dumps(subject.manifest()))
        aside.rename(self.host.manifests / f"{subject.name}.json")
        self.wanted[subject.name] = subject

    def remove(self, name: str) -> None:
        subject = self.wanted.pop(name)
        file = self.host.manifests / f"{name}.json"
        if file.exists():
            file.unlink()
        else:
            self._insist("DELETE", path("Container", name))
        self.unwanted[name] = subject

    def _insist(self, method: str, url: str, body: object = None, kind: str = "application/json") -> None:
        """Asks until there is an answer; without one it may have been done or not."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, answer = self.host.request(method, url, body, kind)
                if status < 300 or (method == "DELETE" and status == 404):
                    return
                if status != 503:
                    self.trouble.append(f"{method} {url}: {status} {answer}")
                    return
            time.sleep(0.01)
        self.trouble.append(f"{method} {url}: never answered")


def kill_controller(host: Pydockd, number: int) -> None:
    host.kill()
    host.start(ready=False)


def kill_api(host: Pydockd, number: int) -> None:
    """Mostly the process that answers; now and then the one that would replace it, which the controller replaces more
    and more slowly."""
    arbiter = wait.until(lambda: faults.api_process(host), 20, "an API process")
    if number % 8 == 3:
        faults.kill(arbiter)
        wait.until(lambda: faults.api_process(host) not in (0, arbiter), 20, "another API process")
    else:
        faults.kill(wait.until(lambda: worker(arbiter), 20, "a worker"))


def worker(arbiter: int) -> int:
    return max(faults.family(arbiter) - {arbiter}, default=0)


@pytest.mark.parametrize(("kill", "seed"), [(kill_controller, 20260), (kill_api, 20261)], ids=["controller", "api"])
def test_killed_at_random(
    make_host: Callable[..., Pydockd], image: str, kill: Callable[[Pydockd, int], None], seed: int
) -> None:
    host = make_host()
    host.start()
    assert host.cli("pull", image).returncode == 0
    once(host, image)
    remains = faults.Remains(host)
    before = descriptors(host)
    editor = Editor(host, image, random.Random(seed + 1))
    with threads.ThreadPoolExecutor(1) as pool:
        edits = pool.submit(editor.run)
        chance = random.Random(seed)
        for number in range(KILLS):
            time.sleep(chance.uniform(SHORTEST, LONGEST))
            kill(host, number)
            editor.turns.release(AT_ONCE)
        edits.result(120)
    assert editor.trouble == []
    settle(editor)
    for name in sorted(editor.wanted):
        editor.remove(name)
    wait.until(lambda: faults.emptied(host), 30, "all to be gone")
    remains.wait_none()
    assert descriptors(host) - before - KEPT == Counter()
    assert host.stop() == 0
    assert_sound(host)


def descriptors(host: Pydockd) -> Counter[str]:
    """What the daemon has open, without the readers of the database, of which some are kept."""
    assert host.process is not None
    return Counter(line for line in leaks_host.descriptors(host.process.pid) if "state.db" not in line)


def assert_sound(host: Pydockd) -> None:
    """The database is whole, and no lease is held."""
    with contextlib.closing(sqlite3.connect(host.root / "state.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    opened = store.open_store(host.root / "state.db")
    with contextlib.closing(opened), opened.snapshot() as session:
        assert session.leases.all() == []
        assert session.leases.subnets() == {}


def once(host: Pydockd, image: str) -> None:
    """The first life of all makes what then stays, such as the directory of logs."""
    subject = faults.Subject(host, image, "first", images.free_port())
    host.apply(subject.manifest())
    wait.until(subject.runs_once, 20, "the first container to run")
    host.delete("Container", "first")
    wait.until(lambda: faults.emptied(host), 20, "the first container to be gone")


def settle(editor: Editor) -> None:
    """All that was acknowledged is so; each process once."""
    editor.host.wait_ready()

    def agrees() -> bool:
        faults.acknowledge(editor.host)
        return all(each.runs_once() for each in editor.wanted.values()) and all(
            each.is_gone() for each in editor.unwanted.values()
        )

    try:
        wait.until(agrees, 60, "all that was acknowledged to be so")
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *odd(editor), faults.story(editor.host)])) from None


def odd(editor: Editor) -> list[str]:
    host = editor.host
    found = [
        f"{name}: {each.processes()} {host.status(name)}"
        for name, each in editor.wanted.items()
        if not each.runs_once()
    ]
    return found + [f"{name} is still there" for name, each in editor.unwanted.items() if not each.is_gone()]
