"""What a look costs, and what it must not bring about."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from reconciler.model.keys import Key
from reconciler.testing.loop import IMAGE, Loop, container, container_key, network


def test_a_namespace_with_a_default_network_of_its_own_does_without_the_hosts(loop: Loop) -> None:
    loop.apply(network("default", namespace="shop"))
    loop.apply(container("web", namespace="shop", networks=[{"name": "default"}]))
    assert loop.observed("web", "shop").process == "running"
    assert not loop.default_network_exists()
    loop.apply(container("web"))
    assert loop.default_network_exists()


def test_a_look_at_what_has_not_changed_writes_nothing(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    loop.apply({"apiVersion": "pydock.dev/v1", "kind": "Image", "metadata": {"name": "web"},
                "spec": {"reference": IMAGE}})  # fmt: skip
    loop.apply(container("web"))
    begun: list[bool] = []
    transaction = loop.store.transaction

    def counted(*args: Any, **options: Any) -> contextlib.AbstractContextManager[Any]:
        begun.append(True)
        return transaction(*args, **options)

    monkeypatch.setattr(loop.store, "transaction", counted)
    for key in (Key("Image", "", "web"), Key.of("Image", "web"), container_key("web")):
        loop.look(key)
    assert begun == []
