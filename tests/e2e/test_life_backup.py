"""Backup and restore as docs/operations.md describes them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from reconciler.testing import wait
from reconciler.testing.daemon import Pydockd, container


def copy(host: Pydockd, where: Path) -> None:
    where.mkdir()
    for file in host.root.glob("state.db*"):
        shutil.copy2(file, where)


def restore(host: Pydockd, where: Path) -> None:
    for file in host.root.glob("state.db*"):
        file.unlink()
    for file in where.iterdir():
        shutil.copy2(file, host.root)


def test_an_older_state_is_restored_on_purpose_only(
    make_host: Callable[..., Pydockd], image: str, tmp_path: Path
) -> None:
    host = make_host().start()
    host.apply(container("before", image))
    pid = host.wait_ready_container("before")["pid"]
    assert host.stop() == 0
    copy(host, tmp_path / "backup")

    host.start()
    host.apply(container("after", image))
    later = host.wait_ready_container("after")["pid"]
    assert host.stop() == 0
    for file in (tmp_path / "backup").glob("state.db*"):
        if not file.name.endswith(".lock"):
            shutil.copy2(file, host.root)
    host.start(ready=False)
    assert host.process is not None
    assert host.process.wait(20) == 1
    assert "but" in host.tail(1)
    assert "was acknowledged: its newest changes are lost" in host.tail(1)
    assert "remove state.db.lock" in host.tail(1)
    assert os.path.exists(f"/proc/{pid}")
    assert os.path.exists(f"/proc/{later}")

    restore(host, tmp_path / "backup")
    (host.root / "state.db.lock").unlink()
    host.start()
    assert host.status("before")["pid"] == pid
    assert host.get("Container", "after") is None
    wait.until(lambda: not os.path.exists(f"/proc/{later}"), 10.0, "what nobody knows to go")


def test_without_a_database_nothing_that_runs_is_touched(make_host: Callable[..., Pydockd], image: str) -> None:
    host = make_host().start()
    host.apply(container("left", image))
    pid = host.wait_ready_container("left")["pid"]
    assert host.stop() == 0
    for file in host.root.glob("state.db*"):
        file.unlink()
    host.start()
    assert "they are left as they are" in host.tail()
    assert os.path.exists(f"/proc/{pid}")
