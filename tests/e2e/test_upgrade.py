"""A new version on a host that runs: the database is brought up to date, and nothing restarts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

from reconciler.store import schema
from reconciler.testing import store_old
from reconciler.testing.daemon import Pydockd, container


def test_the_first_versions_database_is_upgraded_and_nothing_restarts(
    make_host: Callable[..., Pydockd], image: str
) -> None:
    host = make_host().start()
    for name in ("one", "two"):
        host.apply(container(name, image))
    before = {name: host.wait_ready_container(name) for name in ("one", "two")}
    host.stop()
    store_old.first_version(host.root / "state.db")
    host.start()
    for name, status in before.items():
        now = host.wait_ready_container(name)
        assert (now["pid"], now["restartCount"]) == (status["pid"], status["restartCount"])
    (found,) = json.loads(host.cli("image", "ls", "-o", "json").stdout)
    assert found["usedBy"] == ["container/default/one", "container/default/two"]
    assert found["own"] == found["size"] > 0
    host.stop()
    with sqlite3.connect(host.root / "state.db") as driver:
        assert driver.execute("SELECT version_num FROM alembic_version").fetchall() == [(schema.CURRENT,)]
    driver.close()
    host.start()
