from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from falcon import testing

from reconciler import errors
from reconciler.requests import objects
from reconciler.testing.engine_fake import FakeEngine

BASE = "/apis/pydock.dev/v1"
HOME = f"{BASE}/namespaces/default/containers"
WEB = f"{HOME}/web"
DOCUMENT = {
    "apiVersion": "pydock.dev/v1",
    "kind": "Container",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"image": "a"},
}
APPLY = "application/apply-patch+json"
MERGE = "application/merge-patch+json"


def patch(client: testing.TestClient, path: str, document: Any, media_type: str) -> testing.Result:
    return client.simulate_patch(path, body=json.dumps(document), headers={"Content-Type": media_type})


def message(answer: testing.Result, code: int = 400) -> str:
    assert answer.status_code == code, answer.text
    return str(answer.json["message"])


def test_get_passes_the_object_on(client: testing.TestClient, engine: FakeEngine) -> None:
    made = engine.put("Container", "default", "web", image="a")
    assert client.simulate_get(WEB).json == made
    assert engine.last("get") == objects.Get(kind="Container", namespace="default", name="web")


def test_get_of_a_host_kind_has_no_namespace(client: testing.TestClient, engine: FakeEngine) -> None:
    engine.put("Image", "", "nginx")
    assert client.simulate_get(f"{BASE}/images/nginx").status_code == 200
    assert client.simulate_get(f"{BASE}/namespaces/default/images/nginx").status_code == 404


def test_head_is_get_without_a_body(client: testing.TestClient, engine: FakeEngine) -> None:
    engine.put("Container", "default", "web", image="a")
    for path in (WEB, HOME, f"{HOME}?watch=true"):
        answer = client.simulate_head(path)
        assert (answer.status_code, answer.text) == (200, "")
    assert "watch" not in [name for name, _ in engine.asked]


def test_a_list_is_a_list_object(client: testing.TestClient, engine: FakeEngine) -> None:
    first, second = (engine.put("Container", "default", name) for name in ("a", "b"))
    expected = {
        "kind": "ContainerList",
        "apiVersion": "pydock.dev/v1",
        "metadata": {"resourceVersion": "2"},
        "items": [first, second],
    }
    assert client.simulate_get(HOME).json == expected
    assert client.simulate_get(f"{BASE}/containers").json == expected


def test_selectors_are_passed_on(client: testing.TestClient, engine: FakeEngine) -> None:
    params = {"labelSelector": "app=web,tier in (a, b)", "fieldSelector": "metadata.name=x", "limit": "500"}
    assert client.simulate_get(HOME, params=params).status_code == 200
    assert engine.last("list") == objects.List(
        kind="Container",
        namespace="default",
        label_selector="app=web,tier in (a, b)",
        field_selector="metadata.name=x",
        limit=500,
    )
    client.simulate_get(f"{BASE}/networks")
    assert engine.last("list") == objects.List(kind="Network")


def test_encoded_items_are_not_read(client: testing.TestClient, engine: FakeEngine) -> None:
    strange = msgspec.Raw(b'[{"n": 1.000, "spaced" :  2}]')

    def answer(call: Any, args: Any) -> None:
        call.emit({"revision": 9})
        call.emit(strange)

    engine.handlers["list"] = answer
    assert b'"items":[{"n": 1.000, "spaced" :  2}]}' in client.simulate_get(HOME).content


@pytest.mark.parametrize(
    ("query", "code", "word"),
    [
        ("colour=red", 400, "labelSelector"),
        ("watch=perhaps", 400, "true or false"),
        ("limit=-1", 400, "limit"),
        ("limit=ten", 400, "limit"),
        ("limit=٣", 400, "limit"),
        ("watch=1&resourceVersion=abc", 400, "resourceVersion"),
        ("watch=1&timeoutSeconds=-5", 400, "timeoutSeconds"),
        ("resourceVersionMatch=Exact", 400, "Exact"),
        ("labelSelector=a&labelSelector=b", 400, "more than once"),
    ],
)
def test_parameters_are_checked(
    client: testing.TestClient, engine: FakeEngine, query: str, code: int, word: str
) -> None:
    assert word in message(client.simulate_get(HOME, query_string=query), code)
    assert engine.asked == []


@pytest.mark.parametrize(
    "name", ["UPPER", "a_b", "-a", "a-", "x" * 64, "a.b", "redis%2Flog", "redis%2flog", "a\nb", "%00", "ü", "..", ".a"]
)
def test_names_are_checked_before_they_go_on(client: testing.TestClient, engine: FakeEngine, name: str) -> None:
    for path in (
        f"{HOME}/{name}",
        f"{BASE}/namespaces/{name}/containers",
        f"{HOME}/{name}/log",
        f"{BASE}/images/{name}",
    ):
        assert client.simulate_get(path).status_code == 400
    for path in (f"{HOME}/{name}/stop", f"{BASE}/namespaces/{name}/containers"):
        assert client.simulate_post(path, json={}).status_code == 400
    for method in ("PUT", "PATCH", "DELETE"):
        assert client.simulate_request(method, f"{HOME}/{name}", json={}).status_code == 400
    assert engine.asked == []


def test_create(client: testing.TestClient, engine: FakeEngine) -> None:
    answer = client.simulate_post(f"{HOME}?fieldManager=ci", json=DOCUMENT)
    assert answer.status_code == 201
    assert answer.headers["pydock-outcome"] == "created"
    assert answer.json == engine.objects["Container", "default", "web"]
    assert engine.last("post") == objects.Post(document=DOCUMENT, manager="ci")


def test_what_the_path_says_is_filled_in(client: testing.TestClient, engine: FakeEngine) -> None:
    assert client.simulate_put(WEB, json={"spec": {"image": "a"}}).status_code == 201
    assert engine.last("put") == objects.Put(document=DOCUMENT, manager="api")
    client.simulate_post(f"{BASE}/images", json={"metadata": {"name": "x"}})
    assert engine.last("post").document["metadata"] == {"name": "x"}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (DOCUMENT | {"kind": "Network"}, "kind"),
        (DOCUMENT | {"apiVersion": "v1"}, "apiVersion"),
        (DOCUMENT | {"metadata": {"name": "web", "namespace": "other"}}, "metadata.namespace"),
        (DOCUMENT | {"metadata": {"name": "other"}}, "metadata.name"),
        (DOCUMENT | {"metadata": {"name": None}}, "metadata.name"),
        (DOCUMENT | {"metadata": "web"}, "metadata"),
        (DOCUMENT | {"metadata": None}, "metadata"),
        (DOCUMENT | {"kind": ["Container"]}, "kind"),
    ],
)
def test_a_body_must_not_contradict_its_path(
    client: testing.TestClient, engine: FakeEngine, document: dict[str, Any], field: str
) -> None:
    answers = [
        client.simulate_put(WEB, json=document),
        patch(client, WEB, document, MERGE),
        patch(client, f"{WEB}?fieldManager=x", document, APPLY),
    ]
    for answer in answers:
        assert f"the body's {field} is" in message(answer)
        assert answer.json["details"]["causes"][0]["field"] == field
    assert engine.asked == []


def test_put_says_what_happened(client: testing.TestClient, engine: FakeEngine) -> None:
    answers = [client.simulate_put(WEB, json={"spec": {"image": image}}) for image in ("a", "a", "b")]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert [answer.headers["pydock-outcome"] for answer in answers] == ["created", "unchanged", "configured"]


def test_apply_takes_yaml_and_json(client: testing.TestClient, engine: FakeEngine) -> None:
    yaml = {"Content-Type": "application/apply-patch+yaml"}
    answer = client.simulate_patch(f"{WEB}?fieldManager=me&force=true", body=b"spec:\n  image: a\n", headers=yaml)
    assert answer.status_code == 201
    assert engine.last("apply") == objects.Apply(document=DOCUMENT, manager="me", force=True)
    with_charset = "application/apply-patch+json; charset=UTF-8"
    assert patch(client, f"{WEB}?fieldManager=me", DOCUMENT, with_charset).status_code == 200
    assert engine.last("apply") == objects.Apply(document=DOCUMENT, manager="me")


def test_apply_needs_a_manager(client: testing.TestClient, engine: FakeEngine) -> None:
    assert "fieldManager" in message(patch(client, WEB, DOCUMENT, APPLY))
    assert engine.asked == []


def test_force_is_for_apply_alone(client: testing.TestClient, engine: FakeEngine) -> None:
    assert "'force'" in message(patch(client, f"{WEB}?force=true", {}, MERGE))


def test_merge_patch_is_passed_on_as_it_is(client: testing.TestClient, engine: FakeEngine) -> None:
    engine.put("Container", "default", "web", image="a")
    changes = {"spec": {"image": "b"}, "metadata": {"labels": {"x": None}}}
    answer = patch(client, WEB, changes, MERGE)
    assert (answer.status_code, answer.headers["pydock-outcome"]) == (200, "configured")
    assert engine.last("patch") == objects.Patch(
        kind="Container", namespace="default", name="web", patch=changes, manager="api"
    )


def test_dry_run_shows_the_plan_beside_the_object(client: testing.TestClient, engine: FakeEngine) -> None:
    answers = [
        client.simulate_post(f"{HOME}?dryRun=All", json=DOCUMENT),
        client.simulate_put(f"{WEB}?dryRun=All", json=DOCUMENT),
        patch(client, f"{WEB}?dryRun=All&fieldManager=x", DOCUMENT, APPLY),
    ]
    for answer in answers:
        assert answer.json["metadata"]["name"] == "web"
        assert answer.json["plan"] == {"steps": [{"action": "create"}]}
    assert all(args.dry_run for _, args in engine.asked)  # type: ignore[attr-defined]
    assert engine.objects == {}


@pytest.mark.parametrize("value", ["None", "all", "true"])
def test_any_other_dry_run_is_refused(client: testing.TestClient, engine: FakeEngine, value: str) -> None:
    assert "dryRun" in message(client.simulate_put(f"{WEB}?dryRun={value}", json=DOCUMENT))
    assert "dryRun" in message(client.simulate_delete(f"{WEB}?dryRun={value}"))
    assert "dryRun" in message(client.simulate_delete(WEB, json={"dryRun": [value]}))
    assert engine.asked == []


@pytest.mark.parametrize("manager", ["-x", "a\nb", "x" * 129, "ü", "a;b", " "])
def test_managers_are_checked(client: testing.TestClient, engine: FakeEngine, manager: str) -> None:
    assert "manager" in message(client.simulate_put(WEB, json=DOCUMENT, params={"fieldManager": manager}))
    assert engine.asked == []


def test_unknown_fields_cannot_be_waved_through(client: testing.TestClient) -> None:
    assert client.simulate_put(f"{WEB}?fieldValidation=Strict", json=DOCUMENT).status_code == 201
    assert "Strict" in message(client.simulate_put(f"{WEB}?fieldValidation=Ignore", json=DOCUMENT))


def test_delete(client: testing.TestClient, engine: FakeEngine) -> None:
    engine.put("Container", "default", "web", image="a")
    answer = client.simulate_delete(WEB)
    assert (answer.status_code, answer.json["metadata"]["name"]) == (200, "web")
    assert "plan" not in answer.json
    assert client.simulate_delete(WEB).status_code == 404


def test_delete_options(client: testing.TestClient, engine: FakeEngine) -> None:
    engine.put("Container", "default", "web", image="a")
    options = {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "dryRun": ["All"],
        "propagationPolicy": "Background",
        "gracePeriodSeconds": 30,
        "preconditions": {"uid": "uid-web", "resourceVersion": "1"},
    }
    answer = client.simulate_delete(WEB, json=options)
    assert answer.json["plan"] == {"steps": [{"action": "remove"}]}
    assert engine.last("delete") == objects.Delete(
        kind="Container", namespace="default", name="web", uid="uid-web", revision="1", grace=30, dry_run=True
    )
    assert ("Container", "default", "web") in engine.objects
    assert client.simulate_delete(WEB, json={"preconditions": {"uid": "other"}}).status_code == 409


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "Container"},
        {"colour": "red"},
        {"dryRun": "All"},
        {"dryRun": ["All", "All"]},
        {"preconditions": []},
        {"preconditions": "x"},
        {"preconditions": {"name": "x"}},
        {"preconditions": {"uid": 5}},
        {"gracePeriodSeconds": -1},
        {"gracePeriodSeconds": 86_401},
        {"gracePeriodSeconds": "soon"},
        {"gracePeriodSeconds": True},
        {"propagationPolicy": "Sideways"},
        {"propagationPolicy": ["Background"]},
    ],
)
def test_odd_delete_options_delete_nothing(
    client: testing.TestClient, engine: FakeEngine, options: dict[str, Any]
) -> None:
    engine.put("Container", "default", "web", image="a")
    message(client.simulate_delete(WEB, json=options))
    assert engine.asked == []


def test_watching_one_object_is_explained(client: testing.TestClient) -> None:
    assert "fieldSelector=metadata.name=web" in message(client.simulate_get(f"{WEB}?watch=true"))


def test_a_busy_daemon_is_answered_with_when_to_come_again(client: testing.TestClient, engine: FakeEngine) -> None:
    def busy(call: object, args: object) -> None:
        raise errors.Temporary("the database is locked", delay=5)

    engine.handlers["put"] = busy
    answer = client.simulate_put(WEB, json=DOCUMENT)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
