"""Records, actions, the service itself."""

from __future__ import annotations

from typing import Any

import pytest
from falcon import testing

from reconciler import __version__, errors
from reconciler.model import kinds
from reconciler.model.credentials import Credentials
from reconciler.requests import containers, images, logins, objects, records, registry, sources, system
from reconciler.testing.engine_fake import FakeEngine

BASE = "/apis/pydock.dev/v1"
WEB = f"{BASE}/namespaces/default/containers/web"


@pytest.mark.parametrize("action", ["stop", "start", "restart"])
def test_hand_edits(client: testing.TestClient, engine: FakeEngine, action: Any) -> None:
    made = engine.put("Container", "default", "web")
    assert client.simulate_post(f"{WEB}/{action}", json={}).json == made
    assert engine.last("override") == containers.Act(namespace="default", name="web", action=action)
    assert client.simulate_post(f"{WEB}/{action}", json={"now": True}).status_code == 400
    assert client.simulate_post(f"{WEB}/{action}?now=1").status_code == 400


def test_hand_edits_are_for_containers(client: testing.TestClient) -> None:
    assert client.simulate_post(f"{BASE}/namespaces/default/networks/n/stop").status_code == 404


@pytest.mark.parametrize(("what", "request_type"), [("events", records.Events), ("jobs", records.Jobs)])
@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("Container/default/web", "container/default/web"),
        ("container/other/web", "container/other/web"),
        ("container/web", "container/default/web"),
        ("image/nginx", "image/nginx"),
        ("", ""),
    ],
)
def test_records_of_an_object(
    client: testing.TestClient, engine: FakeEngine, what: str, request_type: Any, given: str, key: str
) -> None:
    answer = client.simulate_get(f"{BASE}/{what}", params={"object": given, "limit": "7"})
    assert answer.json["items"][0]["key"] == key
    assert engine.last(what) == request_type(key=key, limit=7)


@pytest.mark.parametrize(
    "query",
    ["object=x", "object=a/b/c/d", "object=volume/default/x", "object=container/../x", "limit=0", "limit=x", "since=1"],
)
def test_odd_questions_for_records(client: testing.TestClient, engine: FakeEngine, query: str) -> None:
    for what in ("events", "jobs"):
        assert client.simulate_get(f"{BASE}/{what}", query_string=query).status_code == 400
    assert engine.asked == []


def test_sources_and_their_acknowledgement(client: testing.TestClient, engine: FakeEngine) -> None:
    assert client.simulate_get(f"{BASE}/sources").json == {"items": []}
    answer = client.simulate_post(f"{BASE}/sources/ack", json={"name": "dir:/etc/pydock.d", "digest": "abc"})
    assert answer.json == {"removed": ["container/default/web"]}
    assert engine.last("ack") == sources.Ack(name="dir:/etc/pydock.d", digest="abc")


@pytest.mark.parametrize(
    "document",
    [{}, {"name": "x"}, {"name": "x", "digest": 5}, {"name": "x", "digest": "y", "all": True}, {"name": None}],
)
def test_odd_acknowledgements(client: testing.TestClient, engine: FakeEngine, document: dict[str, Any]) -> None:
    answer = client.simulate_post(f"{BASE}/sources/ack", json=document)
    assert answer.status_code == 400
    assert "member" in answer.json["message"]
    assert engine.asked == []


def test_plans(client: testing.TestClient, engine: FakeEngine) -> None:
    answer = client.simulate_post(
        f"{BASE}/plans", json={"documents": [{"kind": "Image"}], "manager": "me", "delete": True}
    )
    assert answer.json == {"plan": {"steps": []}, "text": "1 documents\n"}
    assert engine.last("plan") == objects.Preview(documents=[{"kind": "Image"}], manager="me", delete=True)
    client.simulate_post(f"{BASE}/plans", json={"documents": []})
    assert engine.last("plan") == objects.Preview(documents=[], manager="api", delete=False)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"documents": {}},
        {"documents": ["x"]},
        {"documents": [], "manager": "\n"},
        {"documents": [], "delete": "yes"},
        {"documents": [], "manager": 1},
    ],
)
def test_odd_plans(client: testing.TestClient, engine: FakeEngine, document: dict[str, Any]) -> None:
    assert client.simulate_post(f"{BASE}/plans", json=document).status_code == 400
    assert engine.asked == []


@pytest.mark.parametrize(
    "document", [{}, {"reference": ""}, {"reference": 1}, {"reference": "x" * 513}, {"image": "x"}]
)
def test_odd_pulls(client: testing.TestClient, engine: FakeEngine, document: dict[str, Any]) -> None:
    for what in ("pull", "push"):
        assert client.simulate_post(f"{BASE}/{what}", json=document).status_code == 400
    assert engine.asked == []


def test_images_of_the_graph(client: testing.TestClient, engine: FakeEngine) -> None:
    here = f"{BASE}/graph/images"
    (found,) = client.simulate_get(here).json["items"]
    assert client.simulate_get(f"{here}/unused?all=true").json["items"] == [found]
    assert engine.last("images_unused") == images.ImagesUnused(all=True)
    assert client.simulate_get(f"{here}/inspect", params={"reference": "h:5000/a:1"}).json == found
    assert engine.last("image_inspect") == images.ImageInspect(reference="h:5000/a:1")
    assert client.simulate_get(f"{here}/history", params={"reference": "a"}).json["items"] == []
    assert engine.last("image_history") == images.ImageHistory(reference="a")
    client.simulate_post(f"{here}/remove", json={"references": ["a", "b"], "exact": True})
    assert engine.last("image_remove") == images.ImageRemove(references=["a", "b"], exact=True)
    client.simulate_post(f"{here}/remove", json={"references": ["a"], "dryRun": True})
    assert engine.last("image_remove") == images.ImageRemove(references=["a"], dry_run=True)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"references": []},
        {"references": "a"},
        {"references": [1]},
        {"references": [""]},
        {"references": ["x" * 513]},
        {"references": ["a"] * 1001},
        {"references": ["a"], "exact": 1},
        {"references": ["a"], "dryRun": "All"},
        {"references": ["a"], "force": True},
    ],
)
def test_odd_removals(client: testing.TestClient, engine: FakeEngine, document: dict[str, Any]) -> None:
    assert client.simulate_post(f"{BASE}/graph/images/remove", json=document).status_code == 400
    assert engine.asked == []


def test_a_tag(client: testing.TestClient, engine: FakeEngine) -> None:
    answer = client.simulate_post(f"{BASE}/graph/images/tag", json={"source": "a", "target": "h:5000/b:1"})
    assert answer.json["reference"] == "h:5000/b:1"
    assert engine.last("image_tag") == images.ImageTag(source="a", target="h:5000/b:1")


@pytest.mark.parametrize(
    "document",
    [{}, {"source": "a"}, {"source": "a", "target": ""}, {"source": "", "target": "a"}, {"source": 1, "target": "a"},
     {"source": "a", "target": "x" * 513}, {"source": "a", "target": "b", "force": True}],
)  # fmt: skip
def test_odd_tags(client: testing.TestClient, engine: FakeEngine, document: dict[str, Any]) -> None:
    assert client.simulate_post(f"{BASE}/graph/images/tag", json=document).status_code == 400
    assert engine.asked == []


COMMIT = f"{BASE}/namespaces/default/containers/web/commit"


@pytest.mark.parametrize(
    "document",
    [[], {"reference": 1}, {"reference": "x" * 513}, {"message": "x" * 4097}, {"author": "x" * 4097}, {"pause": True},
     {"config": []}, {"config": {"cmd": "a"}}, {"config": {"Cmd": ["a"]}}, {"config": {"env": [1]}}],
)  # fmt: skip
def test_odd_commits(client: testing.TestClient, engine: FakeEngine, document: Any) -> None:
    assert client.simulate_post(COMMIT, json=document).status_code == 400
    assert engine.asked == []


@pytest.mark.parametrize("query", ["", "reference=", "name=a", "reference=a&reference=b"])
def test_odd_looks_at_images(client: testing.TestClient, engine: FakeEngine, query: str) -> None:
    for what in ("inspect", "history"):
        assert client.simulate_get(f"{BASE}/graph/images/{what}", query_string=query).status_code == 400


@pytest.mark.parametrize(
    "credentials",
    ["canary", ["canary"], {"username": "canary"}, {"username": "a:canary", "password": "canary"},
     {"username": "a\n", "password": "canary"}, {"username": "\u20ac", "password": "canary", "encoding": "latin-1"},
     {"username": "a", "password": "canary", "encoding": "utf-16"},
     {"username": "a", "password": "canary", "canary": 1}, {"username": "a", "password": "canary" * 5000}],
)  # fmt: skip
@pytest.mark.parametrize("path", ["pull", "push", "auth", "logins", "tags", "search"])
def test_odd_logins_are_refused_and_not_repeated(
    client: testing.TestClient, engine: FakeEngine, path: str, credentials: Any
) -> None:
    document = {
        {"auth": "registry", "logins": "scope", "tags": "repository", "search": "registry"}.get(
            path, "reference"
        ): "r.example/x",
        "credentials": credentials,
    }
    answer = client.simulate_post(f"{BASE}/{path}", json=document)
    assert answer.status_code == 400
    assert "username" in answer.json["message"]
    assert "canary" not in answer.text
    assert engine.asked == []


def test_what_a_registry_has(client: testing.TestClient, engine: FakeEngine) -> None:
    login = {"username": "me", "password": "secret"}
    found = client.simulate_post(f"{BASE}/tags", json={"repository": "r.example/x", "credentials": login})
    assert found.json == {"repository": "r.example/x", "tags": ["1", "2"]}
    assert engine.last("tags") == registry.Tags(repository="r.example/x", credentials=Credentials(**login))
    found = client.simulate_post(f"{BASE}/search", json={"registry": "r.example", "term": "x", "limit": 3})
    assert found.json == {"items": []}
    assert engine.last("search") == registry.Search(registry="r.example", term="x", limit=3)


@pytest.mark.parametrize(
    ("path", "document"),
    [("tags", {}), ("tags", {"repository": 1}), ("search", {"registry": "x"}),
     ("search", {"registry": "x", "term": "x", "limit": 0}), ("search", {"registry": "x", "term": "x", "limit": 1001}),
     ("search", {"registry": "x", "term": "x", "limit": "3"})],
)  # fmt: skip
def test_odd_questions_for_a_registry(
    client: testing.TestClient, engine: FakeEngine, path: str, document: dict[str, Any]
) -> None:
    assert client.simulate_post(f"{BASE}/{path}", json=document).status_code == 400
    assert engine.asked == []


def test_logins_of_the_host(client: testing.TestClient, engine: FakeEngine) -> None:
    login = {"username": "me", "password": "secret"}
    made = client.simulate_post(f"{BASE}/logins", json={"scope": "r.example/team", "credentials": login})
    assert made.json == {"scope": "r.example/team"}
    assert engine.last("login_keep") == logins.LoginKeep(scope="r.example/team", credentials=Credentials(**login))
    assert client.simulate_get(f"{BASE}/logins").json["items"] == []
    gone = client.simulate_post(f"{BASE}/logins/remove", json={"scope": "r.example/team"})
    assert gone.json == {"scope": "r.example/team", "removed": True}
    assert engine.last("login_remove") == logins.LoginRemove(scope="r.example/team")


@pytest.mark.parametrize(
    "document", [{}, {"scope": "r.example"}, {"scope": 1, "credentials": {"username": "a", "password": "b"}}]
)
def test_odd_logins_of_the_host(client: testing.TestClient, engine: FakeEngine, document: dict[str, Any]) -> None:
    assert client.simulate_post(f"{BASE}/logins", json=document).status_code == 400
    assert client.simulate_post(f"{BASE}/logins/remove", json={"scope": 1}).status_code == 400
    assert client.simulate_get(f"{BASE}/logins?all=1").status_code == 400
    assert engine.asked == []


@pytest.mark.parametrize("document", [{}, {"registry": "x"}, {"registry": 1, "credentials": {}}])
def test_odd_auths(client: testing.TestClient, engine: FakeEngine, document: dict[str, Any]) -> None:
    assert client.simulate_post(f"{BASE}/auth", json=document).status_code == 400
    assert engine.asked == []


def test_version_and_commands(client: testing.TestClient, engine: FakeEngine) -> None:
    assert client.simulate_get("/version").json["apiVersion"] == kinds.API_VERSION
    assert client.simulate_get("/version?timeout=32s").status_code == 200
    assert "watch" in client.simulate_get("/commands").json["commands"]
    assert __version__


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health(client: testing.TestClient, engine: FakeEngine, path: str) -> None:
    assert (client.simulate_get(path).status_code, client.simulate_get(path).text) == (200, "ok")
    engine.ready = False
    answer = client.simulate_get(path)
    assert answer.status_code == 503
    assert "first plan" in answer.text

    def stuck(call: object, args: object) -> None:
        raise errors.Temporary("the database is locked")

    engine.handlers["ping"] = stuck
    answer = client.simulate_get(path)
    assert (answer.status_code, answer.text) == (503, "the database is locked")


def test_life_needs_no_engine(client: testing.TestClient, engine: FakeEngine) -> None:
    assert client.simulate_get("/livez").text == "ok"
    assert engine.asked == []


def test_discovery(client: testing.TestClient) -> None:
    resources = client.simulate_get(BASE).json
    assert {(found["name"], found["namespaced"]) for found in resources["resources"]} == {
        ("images", False),
        ("networks", True),
        ("containers", True),
    }
    groups = client.simulate_get("/apis").json
    assert groups["groups"][0] == client.simulate_get("/apis/pydock.dev").json
    assert groups["groups"][0]["preferredVersion"]["groupVersion"] == kinds.API_VERSION
    assert client.simulate_get("/api").json["versions"] == []


def test_the_tree_and_what_takes_the_disk(client: testing.TestClient, engine: FakeEngine) -> None:
    assert client.simulate_get(f"{BASE}/graph/images/tree").json["items"][0]["chainId"] == ""
    assert engine.last("image_tree") == images.ImageTree()
    client.simulate_get(f"{BASE}/graph/images/tree", params={"reference": "h:5000/a:1"})
    assert engine.last("image_tree") == images.ImageTree(reference="h:5000/a:1")
    assert client.simulate_get(f"{BASE}/graph/images/tree?reference={'x' * 513}").status_code == 400
    assert client.simulate_get(f"{BASE}/system/df").json["driver"] == "fake"
    assert client.simulate_get(f"{BASE}/system/df?verbose=true").status_code == 400


def test_collections_and_leftovers(client: testing.TestClient, engine: FakeEngine) -> None:
    assert client.simulate_get(f"{BASE}/system/collection").json["lacking"] == 0
    assert client.simulate_post(f"{BASE}/system/collection").json["freed"] == 9
    assert engine.last("collect") == system.Collect()
    assert client.simulate_post(f"{BASE}/system/collection", json={"all": True}).status_code == 400
    assert client.simulate_post(f"{BASE}/system/leftovers/remove", json={"dryRun": True}).json["freed"] == 7
    assert engine.last("leftovers_remove") == system.LeftoversRemove(dry_run=True)
    assert client.simulate_post(f"{BASE}/system/leftovers/remove", json={"dryRun": "All"}).status_code == 400
