from __future__ import annotations

import pytest
from falcon import testing

from reconciler.api.fronts.native import guard


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "pydock",
        "",
        "127.0.0.1",
        "127.9.9.9:1",
        "[::1]:80",
        "api.localhost",
        "%2Frun%2Fa",
    ],
)
def test_own_hosts(host: str) -> None:
    assert guard.allows_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "[::2]",
        "a b",
        "x\n",
        "localhost:",
    ],
)
def test_foreign_hosts(host: str) -> None:
    assert not guard.allows_host(host)


@pytest.mark.parametrize("path", ["/livez", "/nowhere", "/apis/pydock.dev/v1/containers"])
def test_a_foreign_host_is_refused_everywhere(client: testing.TestClient, path: str) -> None:
    answer = client.simulate_get(path, headers={"Host": "evil.example"})
    assert answer.status_code == 403
    assert answer.json["reason"] == "Forbidden"
    assert "evil.example" in answer.json["message"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost", ""])
def test_any_origin_is_refused(client: testing.TestClient, origin: str) -> None:
    assert client.simulate_get("/livez", headers={"Origin": origin}).status_code == 403


def test_a_protobuf_answer_cannot_be_had(client: testing.TestClient) -> None:
    answer = client.simulate_get("/livez", headers={"Accept": "application/vnd.kubernetes.protobuf"})
    assert answer.status_code == 406


def test_a_table_or_json_is_answered_with_json(client: testing.TestClient) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    assert client.simulate_get("/apis", headers={"Accept": accept}).status_code == 200


def test_an_encoded_body_is_refused(client: testing.TestClient) -> None:
    answer = client.simulate_post("/apis/pydock.dev/v1/plans", body=b"x", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415
