"""1,000 images come and go under collection, by threads that pull, tag, forget, and make and remove containers.

Real layers and mounts, a registry in memory. After each collection everything that is used must be there, byte by byte,
and in the end disk and relations agree and nothing is left.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler import errors, settings
from reconciler.control.housekeeping import Housekeeping
from reconciler.drivers.graph import measure, mountinfo, opening
from reconciler.images import garbage, usage
from reconciler.model.collection import Policy
from reconciler.model.view import ImageFacts
from reconciler.store import open_store
from reconciler.store.base import Session
from reconciler.testing import graph_tars, images
from reconciler.testing.loop import Loop, container, container_key

SEED = int(os.environ.get("PYDOCK_TEST_SEED", "20261124"))
#: bytes of the disk that the graph is made to believe in: room for some tens of images
DISK = 100_000


class Churn:
    """``files`` of an image: name → content, of all its layers."""

    def __init__(self, work: Path, count: int) -> None:
        self.work = work
        self.loop = Loop(work / "scratch", open_store(work / "state.db"))
        graph, driver = opening.open_graph(work / "graph", "overlay")
        self.graph, self.driver = graph, driver
        self.loop.use(graph, driver)
        self.loop.set_images(policy=Policy(high=60, low=40, min_age=0))
        self.files = dict(self._images(count))
        self.names = list(self.files)
        self.keeper = Housekeeping(settings.make({}), self.loop.parts, self.loop.engine, self.loop.reconciler)
        #: held while containers are made or removed, and while they are looked at
        self.containers = threading.Lock()
        self.made: dict[str, str] = {}
        self.broken: list[str] = []
        self.ended = threading.Event()
        self.looks = 0
        self._numbers = iter(range(1 << 30))

    def _images(self, count: int) -> Iterator[tuple[str, dict[str, bytes]]]:
        """A forest of layers, three high: images end at any height, several in the same layer."""
        dice = random.Random(SEED)
        for number in range(count):
            path = [f"{dice.randrange(4)}", f"{dice.randrange(3)}", f"{dice.randrange(3)}"][: dice.randint(1, 3)]
            named = {"-".join(path[: at + 1]): f"layer {path[: at + 1]}\n".encode() * 20 for at in range(len(path))}
            tars = [graph_tars.archive([graph_tars.Member(name.encode(), data)]) for name, data in named.items()]
            config = {"Cmd": ["serve"], "Env": [f"NUMBER={number}"]}
            reference = f"registry.example/churn:{number}"
            self.loop.registry.add(reference, images.build(tars, config))
            yield reference, named

    def space(self) -> measure.Space:
        """A disk that holds nothing but the graph."""
        used = sum(map(_present(self.graph.blob_size), self.graph.blobs()))
        used += sum(map(_present(self.graph.layer_size), self.graph.layers()))
        return measure.Space(DISK, max(0, DISK - used))

    # what the threads do

    def thread(self, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - told by the test
                self.broken.append(repr(error))
                self.ended.set()

        made = threading.Thread(target=run)
        made.start()
        return made

    def pull(self, names: list[str]) -> None:
        for name in names:
            if self.ended.is_set():
                return
            self.loop.ask("pull_image", reference=name)

    def tidy(self, dice: random.Random) -> None:
        """Names that come and go by hand."""
        while not self.ended.wait(0.01):
            name, other = dice.choice(self.names), f"registry.example/alias:{dice.randrange(5)}"
            with contextlib.suppress(errors.NotFound, errors.Conflict):
                if dice.random() < 0.5:
                    self.loop.ask("image_tag", source=name, target=other)
                else:
                    self.loop.ask("image_remove", references=[dice.choice((name, other))])

    def collect(self) -> None:
        while not self.ended.wait(0.05):
            self.keeper.collect()
            self.look()
            self.looks += 1

    def contain(self, dice: random.Random) -> None:
        """Containers of random images, pulled before or not; some stopped, at most a dozen."""
        while not self.ended.wait(0.02):
            with self.containers:
                if len(self.made) >= 12 or (self.made and dice.random() < 0.4):
                    self.remove(dice.choice(list(self.made)))
                else:
                    self.make(dice)

    def make(self, dice: random.Random) -> None:
        name, image = f"c{next(self._numbers)}", dice.choice(self.names)
        self.loop.apply(container(name, image=image))
        self.made[name] = image
        if dice.random() < 0.3:
            self.loop.ask("override", namespace="default", name=name, action="stop")
            self.loop.settle()

    def remove(self, name: str) -> None:
        self.loop.delete(container_key(name))
        del self.made[name]

    # what must hold

    def look(self) -> None:
        """Every container's root file system is mounted and whole, and so is what it stands on."""
        with self.containers:
            for name, image in self.made.items():
                incarnation = self.loop.observed(name).incarnation
                assert incarnation is not None, f"{name} was not made: {self.loop.ready(container_key(name))}"
                assert self.driver.mounted(incarnation.id)
                root = Path(self.driver.rootfs(incarnation.id))
                found = {file.name: file.read_bytes() for file in root.iterdir()}
                assert found == self.files[image], f"{name} of {image}"
                with self.loop.store.snapshot() as session:
                    chain = session.images.chain(incarnation.image_id)
                assert len(chain) == len(self.files[image]), f"{name}: {image} was forgotten"
                assert set(chain) <= set(self.graph.layers())

    def agree(self) -> None:
        """Nobody works: what is on disk is what the relations name."""
        with self.loop.store.snapshot() as session:
            blobs, layers = session.images.needed()
        assert set(self.graph.blobs()) == blobs
        assert set(self.graph.layers()) == layers
        assert len(os.listdir(self.work / "graph" / "layers")) - len(layers) in (0, 1), "an empty one may be there"
        assert os.listdir(self.work / "graph" / "tmp") == []

    def run(self, looks: int) -> None:
        """Until every image was pulled, and ``looks`` collections were looked after."""
        dice = random.Random(SEED)
        dice.shuffle(self.names)
        halves = [list(self.names[at::2]) for at in range(2)]
        pulls = [self.thread(lambda half=half: self.pull(half)) for half in halves]  # type: ignore[misc]
        others = [
            self.thread(lambda: self.tidy(random.Random(SEED + 1))),
            self.thread(lambda: self.contain(random.Random(SEED + 2))),
            self.thread(self.collect),
        ]
        try:
            for each in pulls:
                each.join(120)
            deadline = time.monotonic() + 60
            while self.looks < looks and not self.ended.wait(0.05):
                assert time.monotonic() < deadline, f"{self.looks} looks"
        finally:
            self.ended.set()
            for each in (*pulls, *others):
                each.join(30)
        assert not self.broken, (SEED, self.broken)

    def close(self) -> None:
        for id in self.driver.snapshots():
            self.driver.remove(id)
        self.loop.close()


def _present(size: Callable[[str], int]) -> Callable[[str], int]:
    def of(name: str) -> int:
        with contextlib.suppress(errors.NotFound, FileNotFoundError):
            return size(name)
        return 0

    return of


@pytest.fixture
def make_churn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Churn]]:
    made: list[Churn] = []

    def make(count: int) -> Churn:
        churn = Churn(tmp_path, count)
        made.append(churn)
        monkeypatch.setattr(churn.graph, "space", churn.space)
        return churn

    try:
        yield make
    finally:
        for each in made:
            each.close()


def collected(churn: Churn) -> int:
    with churn.loop.store.snapshot() as session:
        return sum(each.count for each in session.events.find(garbage.SUBJECT) if each.reason == "ImagesCollected")


def opened() -> list[str]:
    """What this process has open."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return found


def test_a_thousand_images_come_and_go_and_what_is_used_stays(make_churn: Callable[[int], Churn]) -> None:
    churn = make_churn(1000)
    threads_before = threading.active_count()
    churn.run(looks=30)
    assert collected(churn) >= 5, "there was something to collect all the time"
    churn.look()
    churn.agree()
    with churn.loop.store.snapshot() as session:
        assert len(session.images.all()) < 500, "most images went"
    # the rest: containers keep their images, and then nothing does
    churn.loop.set_images(policy=Policy(max_age=0.000001, min_age=0))
    churn.keeper.collect()
    with churn.loop.store.snapshot() as session:
        assert {facts.image_id for facts in session.images.all()} == {
            churn.loop.registry.images[image].image_id for image in churn.made.values()
        }
    churn.look()
    churn.agree()
    for name in list(churn.made):
        churn.remove(name)
    churn.keeper.collect()
    churn.agree()
    assert (churn.graph.blobs(), churn.graph.layers(), churn.driver.snapshots()) == ((), (), ())
    assert mountinfo.read().under(str(churn.work)) == []
    assert [path for path in opened() if path.startswith(str(churn.work / "graph"))] == []
    assert len([path for path in opened() if path.startswith(str(churn.work))]) <= 20, "connections of the store"
    assert threading.active_count() <= threads_before


def test_without_the_guard_the_churn_tells(make_churn: Callable[[int], Churn], monkeypatch: pytest.MonkeyPatch) -> None:
    def everything(session: Session, all_names: bool) -> list[ImageFacts]:
        return session.images.all()

    monkeypatch.setattr(usage, "unused", everything)
    with pytest.raises(AssertionError, match=r"was forgotten|not found|was not made"):
        make_churn(200).run(looks=60)
