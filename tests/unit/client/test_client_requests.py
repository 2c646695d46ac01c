from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.client import client as api
from reconciler.model import kinds
from reconciler.testing import api_server
from reconciler.testing.api_server import BASE, Answer, Request, Server, status


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with api_server.served(tmp_path) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[api.Client]:
    made = api.Client(server.path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("kind", "namespace", "name", "path"),
    [
        (kinds.CONTAINER, "default", "web", "/namespaces/default/containers/web"),
        (kinds.CONTAINER, "default", "", "/namespaces/default/containers"),
        (kinds.CONTAINER, "", "", "/containers"),
        (kinds.IMAGE, "ignored", "nginx", "/images/nginx"),
        (kinds.CONTAINER, "a b", "x?y#z é%2F", "/namespaces/a%20b/containers/x%3Fy%23z%20%C3%A9%252F"),
    ],
)
def test_where_objects_are(kind: kinds.Kind, namespace: str, name: str, path: str) -> None:
    assert api.where(kind, namespace, name) == BASE + path


def test_get_and_list(server: Server, client: api.Client) -> None:
    server.put("container", "web", labels={"app": "web"})
    server.put("container", "db")
    assert client.get(kinds.CONTAINER, "default", "web")["metadata"]["name"] == "web"
    listing = client.list(kinds.CONTAINER, "default", "app in (web)", "metadata.name!=db")
    assert [obj["metadata"]["name"] for obj in listing.items] == ["web"]
    assert listing.revision == "12"
    assert server.last("GET").query == {
        "labelSelector": "app in (web)", "fieldSelector": "metadata.name!=db", "limit": "1000"
    }  # fmt: skip


def test_a_list_is_put_together_from_pages_and_begun_again_when_one_is_too_old(
    server: Server, client: api.Client
) -> None:
    pages = {"": (["a", "b"], "one"), "one": (["c"], "two"), "two": (["d"], "")}
    expired = ["two"]

    def answer(request: Request) -> Answer:
        token = request.query.get("continue", "")
        if token in expired:
            expired.remove(token)
            return status(410, "list again")
        names, more = pages[token]
        return Answer(
            {"metadata": {"resourceVersion": "7", "continue": more}, "items": [{"name": name} for name in names]}
        )

    server.answers[f"GET {BASE}/images"] = answer
    listing = client.list(kinds.IMAGE)
    assert ([item["name"] for item in listing.items], listing.revision) == (["a", "b", "c", "d"], "7")
    assert len(server.asked) == 6


def test_an_absent_object_is_not_found(client: api.Client) -> None:
    with pytest.raises(errors.NotFound, match="container/default/web not found"):
        client.get(kinds.CONTAINER, "default", "web")


def test_apply_sends_the_manifest_as_it_is(server: Server, client: api.Client) -> None:
    text = b"kind: Container\nmetadata: {name: web}\nspec:\n  image: a  # b\n"
    written = client.apply(
        kinds.CONTAINER, "default", "web", api.Manifest(text, yaml=True), "me", force=True, dry_run=True
    )
    request = server.last("PATCH")
    assert request.body == text
    assert request.headers["content-type"] == "application/apply-patch+yaml"
    assert request.query == {"fieldManager": "me", "force": "true", "dryRun": "All"}
    assert written.outcome == "created"
    assert written.object["spec"] == {"image": "a"}


def test_apply_of_json_and_the_plan_of_a_dry_run(server: Server, client: api.Client) -> None:
    answer = Answer({"kind": "Image", "plan": {"steps": [1]}}, headers={"Pydock-Outcome": "configured"})
    server.answers[f"PATCH {BASE}/images/a"] = lambda request: answer
    written = client.apply(kinds.IMAGE, "", "a", api.Manifest(b"{}"), "me")
    assert written == api.Written({"kind": "Image"}, "configured", {"steps": [1]})
    assert server.last("PATCH").headers["content-type"] == "application/apply-patch+json"
    assert server.last("PATCH").query == {"fieldManager": "me"}


def test_delete_with_its_options(server: Server, client: api.Client) -> None:
    server.put("container", "web")
    client.delete(kinds.CONTAINER, "default", "web", uid="u1", dry_run=True)
    assert server.last("DELETE").json == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "preconditions": {"uid": "u1"},
        "dryRun": ["All"],
    }
    client.delete(kinds.CONTAINER, "default", "web")
    assert not server.objects


def test_the_other_requests(server: Server, client: api.Client) -> None:
    def items(request: Request) -> Answer:
        return Answer({"items": [request.query]})

    server.answers[f"GET {BASE}/events"] = server.answers[f"GET {BASE}/jobs"] = items
    server.answers[f"GET {BASE}/sources"] = items
    server.answers[f"POST {BASE}/plans"] = lambda request: Answer({"plan": request.json, "text": "t"})
    server.answers[f"POST {BASE}/sources/ack"] = lambda request: Answer({"removed": [request.json["digest"]]})
    server.answers[f"POST {BASE}/namespaces/a/containers/web/stop"] = lambda request: Answer(request.json)
    server.answers["GET /version"] = lambda request: Answer({"version": "1"})
    assert client.events("container/a/web", 3) == [{"object": "container/a/web", "limit": "3"}]
    assert client.jobs() == [{}]
    assert client.sources() == [{}]
    documents = [{"kind": "Image"}]
    assert client.plan(documents, "me") == api.Planned({"documents": documents, "manager": "me", "delete": False}, "t")
    assert client.acknowledge("dir:/x", "sha256:1") == ["sha256:1"]
    assert client.act("stop", "a", "web") == {}
    assert client.version() == {"version": "1"}


def test_a_watch_begins_after_a_revision_and_ends_with_the_server(server: Server, client: api.Client) -> None:
    server.put("container", "old")
    revision = client.list(kinds.CONTAINER, "default").revision
    server.put("container", "new")
    server.remove("container", "old")
    watch = client.watch(kinds.CONTAINER, "default", revision=revision)
    assert [(event.type, event.object["metadata"]["name"]) for event in (next(watch), next(watch))] == [
        ("ADDED", "new"),
        ("DELETED", "old"),
    ]
    watch.close()


def test_a_watch_ends_at_its_timeout(server: Server, client: api.Client) -> None:
    assert list(client.watch(kinds.CONTAINER, revision="1", timeout=0.05)) == []
    assert server.last("GET").query == {"watch": "true", "resourceVersion": "1", "timeoutSeconds": "1"}


@pytest.mark.parametrize("where", ["answer", "stream"])
def test_a_watch_from_too_long_ago_is_expired(server: Server, client: api.Client, where: str) -> None:
    gone = status(410, "revision 1 is gone")
    line = b'{"type":"ERROR","object":{"kind":"Status","code":410,"message":"revision 1 is gone"}}\n'
    server.answers[f"GET {BASE}/containers"] = lambda request: gone if where == "answer" else Answer(iter([line]))
    with pytest.raises(errors.Expired, match="revision 1 is gone"):
        list(client.watch(kinds.CONTAINER, revision="1"))


def test_logs_are_bytes_as_they_come(server: Server, client: api.Client) -> None:
    path = f"GET {BASE}/namespaces/default/containers/web/log"
    server.answers[path] = lambda request: Answer(iter([b"one\n", b"\xff\x00two"]))
    assert b"".join(client.logs("default", "web")) == b"one\n\xff\x00two"
    assert server.last("GET").query == {}
    list(client.logs("default", "web", tail=0, follow=True, timestamps=True))
    assert server.last("GET").query == {"tailLines": "0", "follow": "true", "timestamps": "true"}


def test_a_pull_tells_its_progress_and_its_failure(server: Server, client: api.Client) -> None:
    lines = [b'{"status":"downloading","layer":"sha256:1"}\n', b'{"digest":"sha256:2"}\n']
    server.answers[f"POST {BASE}/pull"] = lambda request: Answer(iter(lines))
    assert [item.get("digest") for item in client.pull("a:1")] == [None, "sha256:2"]
    assert server.last("POST").json == {"reference": "a:1"}
    failure = b'{"error":{"kind":"Status","code":404,"message":"no such image"}}\n'
    server.answers[f"POST {BASE}/pull"] = lambda request: Answer(iter([lines[0], failure]))
    with pytest.raises(errors.NotFound, match="no such image"):
        list(client.pull("a:1"))
