"""Who is still writing: told by the kernel, whatever way the writer came."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.control.sources.directory import source, writers
from reconciler.testing import wait


def busy(path: Path) -> bool:
    fd = os.open(path, os.O_RDONLY)
    try:
        return writers.is_open_for_writing(fd, path.name)
    finally:
        os.close(fd)


@pytest.fixture(params=["lease", "proc"])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file where leases work, and one where they do not, as on NFS."""
    if request.param == "proc":
        real = fcntl.fcntl

        def without(fd: int, command: int, argument: int = 0) -> Any:
            if command == fcntl.F_SETLEASE:
                raise OSError(errno.EINVAL, "Invalid argument")
            return real(fd, command, argument)

        monkeypatch.setattr(fcntl, "fcntl", without)
    path = tmp_path / "web.yaml"
    path.write_text("a")
    return path


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND])
def test_a_writer_is_seen_until_it_closes(file: Path, flags: int) -> None:
    assert not busy(file)
    fd = os.open(file, flags)
    assert busy(file)
    os.close(fd)
    assert not busy(file)


def test_a_reader_is_no_writer(file: Path) -> None:
    with open(file, encoding="ascii"):
        assert not busy(file)


def test_one_under_another_name_is_seen_by_the_lease(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text("a")
    os.link(path, tmp_path / "other")
    with open(tmp_path / "other", "r+b") as other:
        mapped = mmap.mmap(other.fileno(), 1)
    assert busy(path)
    mapped.close()
    assert not busy(path)


def test_who_writes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.touch()
    with subprocess.Popen(["sh", "-c", f"exec cat > {path}"], stdin=subprocess.PIPE) as writer:
        made = source.DirectorySource(str(tmp_path))
        named = wait.until(lambda: made.writers(["web.yaml", "none.yaml"]), 5, "the writer")
        assert named == {"web.yaml": f"cat (pid {writer.pid})"}
        assert writer.stdin is not None
        writer.stdin.close()


def test_asking_hurts_no_writer_and_not_us(tmp_path: Path) -> None:
    """A program that opens the file in the very moment waits for an instant, and the signal of that does nothing."""
    path = tmp_path / "web.yaml"
    path.touch()
    fd = os.open(path, os.O_RDONLY)
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    with subprocess.Popen(["sh", "-c", f"echo x > {path}"]) as writer:
        threading.Event().wait(0.1)
        assert writer.poll() is None
        os.close(fd)
        assert writer.wait(5) == 0
    assert path.read_text() == "x\n"


class TestSource:
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[source.DirectorySource]:
        (tmp_path / "web.yaml").write_text("a")
        made = source.DirectorySource(str(tmp_path))
        made.open()
        made.scan()
        assert made.wait(5)
        made.drain()
        yield made
        made.close()

    def test_the_end_of_writing_ends_the_wait(self, opened: source.DirectorySource, tmp_path: Path) -> None:
        """Closing changes neither size nor times, and is no event."""
        seen = opened.scan().files["web.yaml"]
        with open(tmp_path / "web.yaml", "r+b"):
            assert opened.read("web.yaml", seen.signature).busy
            began = time.monotonic()
            assert not opened.wait(0.3)
            assert time.monotonic() - began >= 0.3
        assert opened.wait(5)
        assert opened.read("web.yaml", seen.signature).data == b"a"
        assert not opened.wait(0.1)

    def test_a_busy_file_that_is_removed_is_waited_for_no_longer(
        self, opened: source.DirectorySource, tmp_path: Path
    ) -> None:
        seen = opened.scan().files["web.yaml"]
        with open(tmp_path / "web.yaml", "r+b"):
            assert opened.read("web.yaml", seen.signature).busy
            (tmp_path / "web.yaml").unlink()
            assert opened.wait(5)
            opened.scan()

            def is_quiet() -> bool:
                opened.drain()
                return not opened.wait(0.3)

            assert wait.until(is_quiet, 5, "an end of the events of the removal")

    def test_a_relative_path_is_no_source(self) -> None:
        with pytest.raises(Exception, match="found a relative path"):
            source.DirectorySource("manifests")
