"""A new version on a host that runs: the database is brought up to date, and nothing restarts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.store import schema
from reconciler.testing import store_old, wait
from reconciler.testing.daemon import Pydockd, container

NAMES = ("one", "two")


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "pydock.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _facts(host: Pydockd) -> dict[str, tuple[Any, ...]]:
    """What a restart, or anything made anew, would change."""
    found = {}
    for name in NAMES:
        status = host.wait_ready_container(name)
        found[name] = (status["pid"], status["restartCount"], status["startedAt"], status["addresses"])
    return found


@pytest.mark.parametrize("older", [store_old.first_version, store_old.second_version])
def test_an_older_versions_database_is_upgraded_and_nothing_restarts(
    make_host: Callable[..., Pydockd], image: str, older: Callable[[Path], None]
) -> None:
    host = make_host().start()
    host.apply(_document("Network", "net", {}))
    host.apply(_document("Image", "base", {"reference": image}))
    host.apply(container("one", image))
    host.apply(container("two", image, networks=[{"name": "net"}], dependsOn=[{"name": "one"}]))
    before = _facts(host)
    host.stop()
    older(host.root / "state.db")
    host.start()
    assert _facts(host) == before
    jobs = json.loads(host.cli("jobs", "-o", "json").stdout)
    assert not [job for job in jobs if job["object"].endswith(("one", "two")) and job["name"] == "stop"]
    (found,) = json.loads(host.cli("image", "ls", "-o", "json").stdout)
    assert found["usedBy"] == ["container/default/one", "container/default/two"]
    assert found["keptBy"] == ["image/base"]
    assert found["own"] == found["size"] > 0
    # who refers to whom is known again: a network in use stays, and one that nobody uses goes
    host.cli("delete", "network", "net", "--no-wait")
    wait.until(lambda: "used by" in host.cli("describe", "network", "net").stdout, 10.0, "the network says who uses it")
    assert _facts(host) == before
    host.stop()
    with sqlite3.connect(host.root / "state.db") as driver:
        assert driver.execute("SELECT version_num FROM alembic_version").fetchall() == [(schema.CURRENT,)]
    driver.close()
    host.start()
