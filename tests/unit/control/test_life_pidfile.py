"""One daemon a run directory, one an instance: the file with its pid is locked as long as it lives."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.control import life


def test_it_holds_the_pid_and_goes_with_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "pydockd.pid"
    held = life.PidFile(str(path))
    assert path.read_text() == f"{os.getpid()}\n"
    held.remove()
    assert not path.exists()


def test_a_second_is_refused_naming_the_first(tmp_path: Path) -> None:
    path = str(tmp_path / "pydockd.pid")
    held = life.PidFile(path)
    with pytest.raises(errors.Permanent, match=rf"another pydockd \(pid {os.getpid()}\).*--run-dir"):
        life.PidFile(path)
    held.remove()
    life.PidFile(path).remove()


def test_what_a_killed_daemon_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "pydockd.pid"
    path.write_text("123456789 and a longer text than a pid\n")
    held = life.PidFile(str(path))
    assert path.read_text() == f"{os.getpid()}\n"
    held.remove()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "pydockd.pid").symlink_to("precious")
    with pytest.raises(OSError, match="symbolic links"):
        life.PidFile(str(tmp_path / "pydockd.pid"))
    assert (tmp_path / "precious").read_text() == "precious"


def test_instances_of_different_names_live_side_by_side(tmp_path: Path) -> None:
    one, two = (life.claim_instance(name, str(tmp_path)) for name in ("one", "two"))
    with pytest.raises(errors.Permanent, match="another --instance than one"):
        life.claim_instance("one", str(tmp_path))
    one.remove()
    two.remove()


def test_never_two_at_a_time_while_the_file_comes_and_goes(tmp_path: Path) -> None:
    path, inside, most, rounds = str(tmp_path / "pydockd.pid"), [0], [0], [0]

    def contend() -> None:
        for _ in range(300):
            try:
                held = life.PidFile(path)
            except errors.Permanent:
                continue
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            rounds[0] += 1
            inside[0] -= 1
            held.remove()

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert rounds[0] > 0
    assert most[0] == 1
