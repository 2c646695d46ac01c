from __future__ import annotations

import logging

import pytest
from falcon import testing

from reconciler import errors
from reconciler.api import status
from reconciler.testing.engine_fake import FakeEngine

WEB = "/apis/pydock.dev/v1/namespaces/default/containers/web"


def raising(error: Exception) -> object:
    def handler(call: object, args: object) -> None:
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (errors.Invalid("wrong"), 422, "Invalid"),
        (errors.NotFound("gone"), 404, "NotFound"),
        (errors.Conflict("stale"), 409, "Conflict"),
        (errors.Expired("old"), 410, "Expired"),
        (errors.Forbidden("no"), 403, "Forbidden"),
        (errors.Temporary("later", delay=2.4), 503, "ServiceUnavailable"),
        (errors.Permanent("never"), 500, "InternalError"),
    ],
)
def test_every_error_has_its_code(
    client: testing.TestClient, engine: FakeEngine, error: errors.PydockError, code: int, reason: str
) -> None:
    engine.handlers["get"] = raising(error)  # type: ignore[assignment]
    answer = client.simulate_get(WEB)
    assert answer.status_code == code
    assert answer.headers["content-type"] == "application/json"
    expected = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.message,
        "reason": reason,
        "details": {"retryAfterSeconds": 3} if code == 503 else {},
        "code": code,
    }
    assert answer.json == expected
    assert answer.headers.get("retry-after") == ("3" if code == 503 else None)


def test_what_is_invalid_is_told_field_by_field(client: testing.TestClient, engine: FakeEngine) -> None:
    problems = [errors.Problem("must be a string", "spec.image"), errors.Problem("unknown field", "spec.imge")]
    engine.handlers["get"] = raising(errors.Invalid("2 problems", problems))  # type: ignore[assignment]
    causes = client.simulate_get(WEB).json["details"]["causes"]
    assert causes == [
        {"message": "must be a string", "field": "spec.image", "reason": "FieldValueInvalid"},
        {"message": "unknown field", "field": "spec.imge", "reason": "FieldValueInvalid"},
    ]


def test_a_create_in_conflict_says_already_exists(client: testing.TestClient, engine: FakeEngine) -> None:
    engine.put("Container", "default", "web")
    answer = client.simulate_post(WEB.rpartition("/")[0], json={"metadata": {"name": "web"}, "spec": {}})
    assert (answer.status_code, answer.json["reason"]) == (409, "AlreadyExists")


def test_a_bug_is_logged_under_the_id_that_is_shown(
    client: testing.TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("reconciler.api.fronts.native.query.check_name", lambda *_: {}["secret"])
    with caplog.at_level(logging.ERROR):
        answer = client.simulate_get(WEB)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json["message"].split()[2].rstrip(":") in caplog.text
    assert "KeyError: 'secret'" in caplog.text


def test_half_a_surrogate_in_a_message_is_shown_escaped() -> None:
    assert b"\\\\udc80" in status.body(400, "BadRequest", "what is \udc80?")


def test_bytes_that_are_no_text_in_a_query_are_no_server_error(client: testing.TestClient) -> None:
    answer = client.simulate_get("/apis/pydock.dev/v1/containers", query_string="watch=%ed%b2%80%ff")
    assert answer.status_code == 400


def test_an_unknown_path(client: testing.TestClient) -> None:
    answer = client.simulate_get("/apis/pydock.dev/v1/volumes")
    assert (answer.status_code, answer.json["reason"], answer.json["message"]) == (404, "NotFound", "no such path")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/livez", "GET, HEAD, OPTIONS"),
        ("DELETE", "/apis/pydock.dev/v1/images", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/apis/pydock.dev/v1/containers", "GET, HEAD, OPTIONS"),
        ("GET", f"{WEB}/stop", "POST, OPTIONS"),
        ("PUT", f"{WEB}/log", "GET, OPTIONS"),
    ],
)
def test_a_method_that_is_not_there(client: testing.TestClient, method: str, path: str, allowed: str) -> None:
    answer = client.simulate_request(method, path)
    assert (answer.status_code, answer.json["reason"]) == (405, "MethodNotAllowed")
    assert set(answer.headers["allow"].split(", ")) == set(allowed.split(", "))
