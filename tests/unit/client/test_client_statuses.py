from __future__ import annotations

import json

import pytest

from reconciler import errors
from reconciler.client import statuses


def body(code: int, message: str, **details: object) -> bytes:
    return json.dumps({"kind": "Status", "code": code, "message": message, "details": details}).encode()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, errors.Invalid),
        (422, errors.Invalid),
        (413, errors.Invalid),
        (415, errors.Invalid),
        (401, errors.Forbidden),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.Expired),
        (429, errors.Temporary),
        (503, errors.Temporary),
        (500, errors.Permanent),
        (418, errors.Permanent),
    ],
)
def test_a_status_becomes_the_error_that_it_was(code: int, kind: type[errors.PydockError]) -> None:
    error = statuses.error(code, body(code, "so it is"))
    assert type(error) is kind
    assert error.message == "so it is"


def test_causes_become_problems() -> None:
    causes = [{"field": "spec.image", "message": "expected text"}, {"message": "nothing else"}]
    error = statuses.error(422, body(422, "bad", causes=causes))
    assert isinstance(error, errors.Invalid)
    assert error.problems == (errors.Problem("expected text", "spec.image"), errors.Problem("nothing else"))


@pytest.mark.parametrize(
    ("details", "header", "delay"),
    [({"retryAfterSeconds": 7}, "3", 7.0), ({}, "3", 3.0), ({}, "", 1.0), ({}, "soon", 1.0)],
)
def test_a_temporary_error_says_when_to_come_back(details: dict[str, object], header: str, delay: float) -> None:
    error = statuses.error(503, body(503, "later", **details), header)
    assert isinstance(error, errors.Temporary)
    assert error.delay == delay


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b'{"kind":"Pod"}', b"null"])
def test_an_answer_that_is_no_status_gives_its_code(data: bytes) -> None:
    error = statuses.error(404, data)
    assert isinstance(error, errors.NotFound)
    assert error.message == "the server answered 404 without saying why"
