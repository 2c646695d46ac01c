"""Remains that the store does not know go; what is known, and what is not ours to judge, stays."""

from __future__ import annotations

import pytest

from reconciler import errors
from reconciler.control import orphans
from reconciler.drivers.network.base import EndpointConfig
from reconciler.testing.loop import Loop, container, container_key
from reconciler.testing.network_tools import network
from reconciler.testing.store import memory_store


def plant(loop: Loop) -> None:
    """A container's snapshot, a network and an endpoint that no object stands for."""
    loop.snapshots.prepare("feedfeedfeedfeed", ())
    loop.network.ensure_network(network("test", "lost-network", "10.9.9.0/24"))
    loop.network.ensure_endpoint(EndpointConfig("lost-endpoint", ()))


def test_what_is_known_stays(loop: Loop) -> None:
    loop.apply(container("web"))
    before = loop.network.list(), loop.snapshots.snapshots(), loop.exec.list()
    assert orphans.sweep(loop.parts) == 0
    assert (loop.network.list(), loop.snapshots.snapshots(), loop.exec.list()) == before


def test_what_nobody_knows_goes_and_leaves_the_rest(loop: Loop) -> None:
    loop.apply(container("web"))
    before = loop.network.list(), loop.snapshots.snapshots()
    plant(loop)
    assert orphans.sweep(loop.parts) == 3
    assert (loop.network.list(), loop.snapshots.snapshots()) == before
    assert loop.observed("web").process == "running"
    assert orphans.sweep(loop.parts) == 0


def test_beside_a_new_database_everything_stays(loop: Loop) -> None:
    """A lost database must not end what runs."""
    loop.apply(container("web"))
    before = loop.network.list(), loop.snapshots.snapshots(), loop.exec.list()
    loop.parts.store = memory_store()
    assert orphans.sweep(loop.parts) == 0
    assert (loop.network.list(), loop.snapshots.snapshots(), loop.exec.list()) == before
    loop.parts.store.close()


def test_one_that_cannot_be_removed_holds_up_no_other(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    loop.apply(container("web"))
    plant(loop)

    def busy(id: str) -> None:
        raise errors.Temporary("busy")

    with monkeypatch.context() as patch:
        patch.setattr(loop.snapshots, "remove", busy)
        assert orphans.sweep(loop.parts) == 2
    assert orphans.sweep(loop.parts) == 1


def test_a_half_deleted_container_is_still_known(loop: Loop) -> None:
    loop.apply(container("web"))
    loop.ask("delete", kind="Container", namespace="default", name="web")
    assert orphans.sweep(loop.parts) == 0
    assert loop.exists(container_key("web"))
    assert len(loop.snapshots.snapshots()) == 1
