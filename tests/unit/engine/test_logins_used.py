"""What a pull of the host itself says where its registry wants a login."""

from __future__ import annotations

import pytest

from reconciler import errors
from reconciler.images import registry_access
from reconciler.model import references
from reconciler.testing.loop import Loop

REFERENCE = references.parse("r.example/a")


@pytest.mark.parametrize(
    ("message", "own", "expected"),
    [
        ("no: pydock login r.example", True, "no: pydock login r.example --on-host"),
        ("no: pydock login r.example", False, "no: pydock login r.example"),
        ("the login was not sent", True, "the login was not sent"),
    ],
)
def test_the_command_that_helps(loop: Loop, message: str, own: bool, expected: str) -> None:
    with (
        pytest.raises(errors.LoginNeeded) as caught,
        registry_access.acting(loop.parts.images, REFERENCE, None, own=own),
    ):
        raise errors.LoginNeeded(message)
    assert caught.value.message == expected
