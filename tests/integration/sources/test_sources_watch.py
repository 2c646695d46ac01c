"""What wakes the loop of a directory: watchfiles, contained to the directories it is given."""

from __future__ import annotations

import itertools
import operator
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from reconciler.control.sources.directory import watch
from reconciler.testing import wait


@pytest.fixture
def watching() -> Iterator[watch.Watch]:
    made = watch.Watch()
    yield made
    made.close()


def follow(watching: watch.Watch, *folders: Path) -> None:
    """Until it listens."""
    watching.drain()
    watching.follow(map(str, folders))
    assert watching.wait(5)
    watching.drain()


def watched() -> set[tuple[int, int]]:
    """Device and inode of all that this process has inotify watches on."""
    found = set()
    for entry in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{entry}") != "anon_inode:inotify":
                continue
            lines = Path(f"/proc/self/fdinfo/{entry}").read_text().splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            if line.startswith("inotify"):
                fields = dict(field.split(":", 1) for field in line.split()[1:])
                number = int(fields["sdev"], 16)
                found.add((number >> 20, number & 0xFFFFF, int(fields["ino"], 16)))
    return {(os.makedev(major, minor), inode) for major, minor, inode in found}


def identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda folder: (folder / "a.yaml").write_text("b"),
    "created": lambda folder: (folder / "b.yaml").touch(),
    "removed": lambda folder: (folder / "a.yaml").unlink(),
    "renamed": lambda folder: (folder / "a.yaml").rename(folder / "c.yaml"),
    "attributes": lambda folder: (folder / "a.yaml").chmod(0),
    "directory": lambda folder: (folder / "sub").mkdir(),
    "link": lambda folder: (folder / "link").symlink_to("a.yaml"),
    "itself": lambda folder: folder.rename(folder.with_name("elsewhere")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_heard_of(change: str, watching: watch.Watch, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "a.yaml").write_text("a")
    follow(watching, folder)
    began = time.monotonic()
    CHANGES[change](folder)
    assert watching.wait(5)
    assert time.monotonic() - began < 0.35


def test_nothing_outside_is_watched_through_a_link(watching: watch.Watch, tmp_path: Path) -> None:
    folder, outside = tmp_path / "d", tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    before = watched()
    follow(watching, folder)
    assert watched() - before == {identity(folder)}
    (outside / "deep/a.yaml").touch()
    (outside / "a.yaml").touch()
    assert not watching.wait(0.4)


def test_reading_is_no_change(watching: watch.Watch, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a")
    follow(watching, tmp_path)
    (tmp_path / "a.yaml").read_text()
    os.listdir(tmp_path)
    assert not watching.wait(0.4)


def test_what_happens_before_it_listens_is_told_when_it_does(watching: watch.Watch, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").touch()
    watching.follow([str(tmp_path)])
    assert watching.wait(5)


def test_the_same_again_is_nothing_new_and_a_replaced_directory_is(watching: watch.Watch, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    follow(watching, folder)
    watching.follow([str(folder)])
    assert not watching.wait(0.3)
    folder.rename(tmp_path / "old")
    folder.mkdir()
    follow(watching, folder)
    (folder / "a.yaml").touch()
    assert watching.wait(5)


def test_a_name_that_is_no_text_does_not_end_the_listening(watching: watch.Watch, tmp_path: Path) -> None:
    follow(watching, tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yaml")).touch()
    assert watching.wait(5)
    follow(watching, tmp_path)
    (tmp_path / "a.yaml").touch()
    assert watching.wait(5)


def test_a_failure_is_tried_again_ever_more_seldom(
    watching: watch.Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[float] = []
    real = watchfiles.watch

    def failing(*paths: str, **options: Any) -> Any:
        tries.append(time.monotonic())
        if len(tries) < 4:
            raise OSError(28, "no space left on device: max_user_watches")
        return real(*paths, **options)

    monkeypatch.setattr(watchfiles, "watch", failing)
    monkeypatch.setattr(watch, "RETRY", 0.1)
    for _ in range(4):
        watching.follow([str(tmp_path)])
        assert watching.wait(5)
        watching.drain()
    pauses = [after - before for before, after in itertools.pairwise(tries)]
    assert len(tries) == 4
    assert pauses[0] >= 0.1
    assert pauses[1] >= 0.2
    assert pauses[2] >= 0.4
    (tmp_path / "a.yaml").touch()
    assert watching.wait(5)


def test_whoever_is_told_wakes(watching: watch.Watch) -> None:
    threading.Timer(0.05, watching.wake).start()
    assert watching.wait(5)
    watching.drain()
    assert not watching.wait(0)


def test_closing_is_prompt_and_leaves_nothing(tmp_path: Path) -> None:
    def things() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    warm = watch.Watch()
    follow(warm, tmp_path)
    warm.close()
    before = things()
    made = watch.Watch()
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        follow(made, tmp_path, folder)
    began = time.monotonic()
    made.close()
    assert time.monotonic() - began < 0.5
    wait.until(lambda: all(map(operator.le, things(), before)), 2.0, "all threads and descriptors to be gone")


def test_idle_costs_next_to_nothing(watching: watch.Watch, tmp_path: Path) -> None:
    follow(watching, tmp_path)
    used = time.process_time()
    assert not watching.wait(2.0)
    assert time.process_time() - used < 0.0015 * 2
