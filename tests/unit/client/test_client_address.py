from __future__ import annotations

import pytest

from reconciler import errors
from reconciler.client import address


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("unix:///run/pydock/pydock.sock", "/run/pydock/pydock.sock"),
        ("/run/x.sock", "/run/x.sock"),
        (address.DEFAULT, "/run/pydock/pydock.sock"),
    ],
)
def test_a_unix_socket_is_named_by_its_path(text: str, path: str) -> None:
    assert address.parse(text) == path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tcp://127.0.0.1:2376", "tcp:// is not supported yet, because it has no TLS yet: use unix:///PATH"),
        ("https://host", "https:// is not supported yet"),
        ("fd://", "fd:// is not supported"),
        ("run/x.sock", "expected unix:///PATH or an absolute /PATH"),
        ("unix://run/x.sock", "expected unix:///PATH or an absolute /PATH"),
        ("", "expected unix:///PATH"),
        ("/" + "x" * 107, "at most 107 bytes"),
        ("/" + "é" * 54, "at most 107 bytes"),
        ("/a\0b", "none of them zero"),
    ],
)
def test_what_is_no_socket_is_refused(text: str, says: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        address.parse(text)
    assert says in caught.value.message
