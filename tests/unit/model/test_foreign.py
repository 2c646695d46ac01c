"""JSON of strangers is read as Go reads it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from reconciler import errors
from reconciler.model import foreign


class Inner(msgspec.Struct):
    name: str = ""
    on: bool = False


class Outer(msgspec.Struct, rename="camel"):
    first_word: str = ""
    count: int = 0
    rate: float = 0.5
    words: list[str] = []
    inner: Inner | None = None
    inners: list[Inner] = []
    notes: dict[str, str] = {}
    either: list[str] | str = ""
    anything: Any = None


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("{}", Outer()),
        ("null", Outer()),
        ('{"firstWord": "a"}', Outer("a")),
        ('{"firstword": "a"}', Outer("a")),
        ('{"FIRSTWORD": "a", "Count": 7}', Outer("a", 7)),
        (r'{"\u0066irst\u0057ord": "a"}', Outer("a")),
        ('{"fir\u017ftword": "a"}', Outer("a")),
        ('{"first_word": "a", "firstWord ": "b"}', Outer()),
        ('{"firstWord": "a", "firstword": "b"}', Outer("b")),
        ('{"firstword": "b", "firstWord": "a"}', Outer("a")),
        ('{"firstWord": "a", "firstword": null}', Outer("a")),
        ('{"firstWord": null, "count": null, "rate": null, "words": null, "inner": null, "notes": null}', Outer()),
        ('{"words": ["a", null]}', Outer(words=["a", ""])),
        ('{"inners": [{"NAME": "a", "On": true}, null]}', Outer(inners=[Inner("a", True), Inner()])),
        ('{"inner": {"NAME": "a"}, "Inner": {"on": true}}', Outer(inner=Inner("a", True))),
        ('{"notes": {"Key": "v", "key": null}}', Outer(notes={"Key": "v", "key": ""})),
        ('{"either": ["a", null]}', Outer(either=["a", ""])),
        ('{"either": "a"}', Outer(either="a")),
        ('{"Anything": {"A": null, "a": [null]}}', Outer(anything={"A": None, "a": [None]})),
        ('{"unknown": {"firstWord": 7}}', Outer()),
        (r'{"firstWord": "\ud800x"}', Outer("\ufffdx")),
        (r'{"firstWord": "\\ud800"}', Outer("\\ud800")),
        (r'{"firstWord": "\ud83d\ude00"}', Outer("\U0001f600")),
    ],
)
def test_what_is_read(raw: str, found: Outer) -> None:
    assert foreign.decode(raw.encode(), Outer, "it") == found


def test_bytes_that_are_no_text() -> None:
    assert foreign.decode(b'{"firstWord": "caf\xe9"}', Outer, "it") == Outer("caf\ufffd")


def test_a_list_at_the_top() -> None:
    assert foreign.decode(b'[{"NAME": "a"}, null]', list[Inner], "it") == [Inner("a"), Inner()]
    assert foreign.decode(b"null", list[Inner], "it") == []


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b"7", b'{"count": "7"}', b'{"firstWord": 7}', b'{"words": "a"}', b'{"words": [7]}',
        b'{"notes": []}', b'{"inner": []}', b'{"either": 7}', b"[" * 200_000, b'{"a":' * 200_000,
        b"[" + b"{}," * foreign.MAX_VALUES + b"{}]", b'{"count": NaN}',
    ],
)  # fmt: skip
def test_what_is_refused(raw: bytes) -> None:
    with pytest.raises(errors.Permanent, match="its list is malformed: "):
        foreign.decode(raw, Outer, "its list")
