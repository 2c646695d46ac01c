from __future__ import annotations

import json
from typing import Any

import pytest
from falcon import testing

from reconciler.api import body
from reconciler.testing.engine_fake import FakeEngine

BASE = "/apis/pydock.dev/v1"
HOME = f"{BASE}/namespaces/default/containers"
WEB = f"{HOME}/web"


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/vnd.kubernetes.protobuf",
        "",
        "application/json; charset=utf-16",
        "application/jsonx",
        "text/json",
    ],
)
def test_only_json_is_read(client: testing.TestClient, engine: FakeEngine, media_type: str) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    for method, path in (
        ("POST", HOME),
        ("PUT", WEB),
        ("DELETE", WEB),
        ("POST", f"{WEB}/stop"),
        ("POST", f"{BASE}/plans"),
        ("POST", f"{BASE}/pull"),
        ("POST", f"{BASE}/sources/ack"),
    ):
        answer = client.simulate_request(method, path, body=b"{}", headers=headers)
        assert (answer.status_code, answer.json["reason"]) == (415, "UnsupportedMediaType"), (method, path)
    assert engine.asked == []


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/json-patch+json", "application/strategic-merge-patch+json"]
)
def test_only_known_patches_are_read(client: testing.TestClient, media_type: str) -> None:
    answer = client.simulate_patch(WEB, body=b"{}", headers={"Content-Type": media_type})
    assert answer.status_code == 415
    assert "application/merge-patch+json" in answer.json["message"]


def test_a_type_without_a_body_is_checked_too(client: testing.TestClient, engine: FakeEngine) -> None:
    engine.put("Container", "default", "web")
    assert client.simulate_post(f"{WEB}/stop", headers={"Content-Type": "text/plain"}).status_code == 415
    assert client.simulate_post(f"{WEB}/stop").status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{} {}",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b"[" * 200_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a": [' + b"1," * 60_000 + b"1]}",
        b"{'a': 1}",
        b"\x00",
        '{"a": 1}'.encode("utf-16"),
    ],
    ids=lambda data: repr(data[:20]),
)
def test_hostile_json_is_a_bad_request(client: testing.TestClient, engine: FakeEngine, data: bytes) -> None:
    for method, path in (("POST", HOME), ("PUT", WEB), ("POST", f"{BASE}/plans")):
        answer = client.simulate_request(method, path, body=data, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text[:300]
        assert answer.json["reason"] == "BadRequest"
    assert engine.asked == []


@pytest.mark.parametrize(
    "data",
    [
        b"a: &a [*a]",
        b"a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        b"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
        b"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]",
        b"[" * 30_000,
        b"a: 1\na: 2\n",
        b"a: 1\n---\nb: 2\n",
        b"spec: !!python/object/apply:os.system ['true']",
        b"",
        b"- a",
        b"a: .inf",
        b"\xff\xfe",
    ],
    ids=lambda data: repr(data[:20]),
)
def test_hostile_yaml_is_a_bad_request(client: testing.TestClient, engine: FakeEngine, data: bytes) -> None:
    headers = {"Content-Type": body.APPLY_YAML}
    answer = client.simulate_patch(f"{WEB}?fieldManager=x", body=data, headers=headers)
    assert answer.status_code == 400, answer.text[:300]
    assert engine.asked == []


def test_the_place_of_a_mistake_is_told(client: testing.TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.simulate_post(HOME, body=b'{"spec": {"image": 1,\n "image": 2}}', headers=headers)
    assert "image" in answer.json["message"]


def test_a_body_over_the_limit_is_not_parsed(client: testing.TestClient, engine: FakeEngine) -> None:
    data = b'{"a": "' + b"x" * body.LIMIT + b'"}'
    for method, path in (("POST", HOME), ("PUT", WEB), ("DELETE", WEB)):
        answer = client.simulate_request(method, path, body=data, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json["reason"]) == (413, "RequestEntityTooLarge")
    assert engine.asked == []


def test_plans_may_carry_many_documents(client: testing.TestClient, engine: FakeEngine) -> None:
    documents: list[dict[str, Any]] = [
        {"kind": "Container", "metadata": {"name": f"c{number}"}, "spec": {"args": ["x" * 20] * 10}}
        for number in range(4000)
    ]
    data = json.dumps({"documents": documents, "manager": "pydock"}).encode()
    assert len(data) > body.LIMIT
    answer = client.simulate_post(f"{BASE}/plans", body=data, headers={"Content-Type": "application/json"})
    assert answer.json["text"] == "4000 documents\n"


def test_a_body_that_ends_early(client: testing.TestClient, engine: FakeEngine) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": "50"}
    answer = client.simulate_post(HOME, body=b'{"metadata": {"name": "x"}}', headers=headers)
    assert answer.status_code == 400
    assert engine.asked == []
