from __future__ import annotations

import msgspec
import pytest

from reconciler import errors
from reconciler.ipc import wire

EVERY_ERROR = [
    errors.Invalid("two things", [errors.Problem("bad", "spec.image", "a.yaml", 3, 4), errors.Problem("worse")]),
    errors.NotFound("no container web"),
    errors.Conflict("owned by dir:/etc/pydock.d/web.yaml"),
    errors.Outdated("the plan is out of date"),
    errors.Expired("revision 3 is gone"),
    errors.Forbidden("not for you"),
    errors.LoginNeeded("who are you"),
    errors.Temporary("later", delay=7.5),
    errors.Permanent("never"),
]


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: type(error).__name__)
def test_every_error_survives_the_way(error: errors.PydockError) -> None:
    reply = wire.decode_reply(wire.encode_error(error))
    assert isinstance(reply.error, wire.Failure)
    back = wire.rebuild(reply.error)
    assert type(back) is type(error)
    assert back.message == error.message
    assert getattr(back, "problems", None) == getattr(error, "problems", None)
    assert getattr(back, "delay", None) == getattr(error, "delay", None)


def test_every_class_of_errors_is_tried() -> None:
    classes = {
        found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, errors.PydockError)
    }
    assert classes - {errors.PydockError} == {type(error) for error in EVERY_ERROR}


def test_an_unknown_class_is_permanent() -> None:
    back = wire.rebuild(wire.Failure("SomethingNew", "hm"))
    assert type(back) is errors.Permanent
    assert back.message == "hm"


def test_the_class_travels_under_the_name_class() -> None:
    assert msgspec.json.decode(wire.encode_error(errors.NotFound("x"))) == {
        "error": {"class": "NotFound", "message": "x"}
    }


def test_encoded_parts_are_not_encoded_again() -> None:
    payload = wire.encode_result({"items": msgspec.Raw(b'[{"a":1}]'), "revision": 7})
    reply = wire.decode_reply(payload)
    assert isinstance(reply.result, msgspec.Raw)
    assert bytes(reply.result) == b'{"items":[{"a":1}],"revision":7}'


def test_a_result_may_be_null() -> None:
    reply = wire.decode_reply(wire.encode_result(None))
    assert reply.result is not msgspec.UNSET
    assert bytes(reply.result) == b"null"
