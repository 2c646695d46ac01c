"""Which tag is the highest version of a range."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import errors
from reconciler.model import versions

TAGS = ["latest", "1", "1.2", "1.2.3", "1.2.10", "v1.3.0", "1.3.0-alpine", "1.4.0-rc1", "2.0.0", "2.1.0-beta.2",
        "0.9.9", "01.2.3", "v2", "1.2.3.4", "sha256-abc.sig", "3.0.0_1"]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("1.x", "v1.3.0"), ("^1.2", "v1.3.0"), ("~1.2.3", "1.2.10"), ("1.2", "1.2.10"), (">=1.2 <2", "v1.3.0"),
     ("1.0 - 1.2", "1.2.10"), ("0.9.x || 1.2.3", "1.2.3"), ("*", "2.0.0"), ("=1.2.3", "1.2.3"), ("4.x", ""),
     (">=1.4.0-rc0 <1.5", "1.4.0-rc1"), ("^0.9.1", "0.9.9")],
)  # fmt: skip
def test_the_highest(wanted: str, found: str) -> None:
    assert versions.newest(TAGS, wanted) == found
    assert versions.newest(reversed(TAGS), wanted) == found


def test_of_two_that_mean_the_same_it_is_always_the_same() -> None:
    for tags in (["v1.0.0", "1.0.0"], ["1.0.0", "v1.0.0"]):
        assert versions.newest(tags, "1.x") == "1.0.0"


@pytest.mark.parametrize(
    "text", ["", " ", "latest", "1.2.3.4", ">", "1.2.x-alpine", "^", "1.x ||", "\0", "1,2", "x" * 99]
)
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(errors.Invalid, match="is no range of versions such as"):
        versions.check_range(text)


@given(st.text(max_size=40))
def test_any_text_is_a_range_or_told_not_to_be(text: str) -> None:
    try:
        versions.check_range(text)
    except errors.Invalid:
        return
    versions.newest([*TAGS, text], text)


@given(st.lists(st.text("v0123456789.-abrc", max_size=12)))
def test_any_tags(tags: list[str]) -> None:
    assert versions.newest(tags, "*") in {*tags, ""}
