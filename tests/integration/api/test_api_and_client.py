"""pydock's own client against the real API process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler import errors
from reconciler.client import client as api_client
from reconciler.model import kinds
from reconciler.testing.engine_api import Served

DOCUMENT: dict[str, Any] = {
    "apiVersion": "pydock.dev/v1",
    "kind": "Container",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"image": "a"},
}
WEB = (kinds.CONTAINER, "default", "web", api_client.Manifest(json.dumps(DOCUMENT).encode(), False), "me")


def test_the_client_and_the_api_agree(own: Served) -> None:
    client = api_client.Client(own.path)
    planned = client.apply(*WEB, dry_run=True)
    assert (planned.outcome, planned.plan) == ("created", {"steps": [{"action": "create"}]})
    with pytest.raises(errors.NotFound):
        client.get(kinds.CONTAINER, "default", "web")
    assert [client.apply(*WEB).outcome for _ in range(2)] == ["created", "unchanged"]
    assert client.get(kinds.CONTAINER, "default", "web")["spec"] == {"image": "a"}
    listing = client.list(kinds.CONTAINER, labels="app=web")
    assert [found["metadata"]["name"] for found in listing.items] == ["web"]
    events = client.watch(kinds.CONTAINER, "default")
    assert next(events).type == "ADDED"
    events.close()  # type: ignore[attr-defined]
    assert client.act("stop", "default", "web")["kind"] == "Container"
    assert b"".join(client.logs("default", "web", tail=3)) == b"line 0\nline 1\nline 2\n"
    assert client.plan([DOCUMENT], "me").text == "1 documents\n"
    assert [item["status"] for item in client.pull("nginx:1")] == ["Pulling", "Done"]
    assert client.events("container/default/web", 5)[0]["key"] == "container/default/web"
    assert client.jobs()[0]["name"] == "create"
    assert client.sources() == []
    assert client.acknowledge("dir:/x", "d") == ["container/default/web"]
    assert client.version()["apiVersion"] == "pydock.dev/v1"
    assert client.delete(kinds.CONTAINER, "default", "web", dry_run=True).plan == {"steps": [{"action": "remove"}]}
    with pytest.raises(errors.Conflict):
        client.delete(kinds.CONTAINER, "default", "web", uid="another")
    client.delete(kinds.CONTAINER, "default", "web", uid="uid-web")
    client.close()


def test_errors_arrive_with_their_fields(own: Served) -> None:
    def invalid(call: object, args: object) -> None:
        raise errors.Invalid("one thing", [errors.Problem("must be a string", "spec.image")])

    own.engine.handlers["apply"] = invalid
    client = api_client.Client(own.path)
    with pytest.raises(errors.Invalid) as caught:
        client.apply(*WEB)
    assert caught.value.problems == (errors.Problem("must be a string", "spec.image"),)
    client.close()
