from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import errors
from reconciler.model import selectors

WEB = {"app": "web", "pydock.dev/tier": "front", "empty": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("  ", True),
        ("app=web", True),
        ("app==web", True),
        (" app = web ", True),
        ("app=api", False),
        ("app!=api", True),
        ("app!=web", False),
        ("missing!=web", True),
        ("app in (web)", True),
        ("app in (api, web)", True),
        ("app in(api)", False),
        ("missing in (web)", False),
        ("app notin (api,db)", True),
        ("app notin (web)", False),
        ("missing notin (web)", True),
        ("app", True),
        ("missing", False),
        ("!app", False),
        ("! missing", True),
        ("pydock.dev/tier=front", True),
        ("pydock.dev/tier", True),
        ("empty=", True),
        ("app=", False),
        ("empty in (,x)", True),
        ("in=web", False),
        ("app=web,pydock.dev/tier in (front,back),!missing", True),
        ("app=web,missing", False),
    ],
)
def test_a_label_selector_matches_as_in_kubernetes(text: str, expected: bool) -> None:
    assert selectors.parse(text).matches(WEB) is expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (",", "expected a label's name instead of ','"),
        ("app=web,", "expected a label's name instead of ''"),
        ("=web", "expected a label's name instead of '='"),
        ("app in web", "expected '(' instead of 'web'"),
        ("app in (web", "expected ')' at the end"),
        ("app web", "expected =, !=, in, notin or a comma instead of 'web'"),
        ("app=web tier=x", "expected ',' instead of 'tier'"),
        ("-app", "expected a label's name instead of '-app'"),
        ("UP/app", "expected a label's name instead of 'UP/app'"),
        ("/app", "expected a label's name instead of '/app'"),
        ("app=" + "x" * 64, "cannot be a label's value"),
        ("app=we\u0441b", "cannot be a label's value"),
        ("!app=web", "expected ',' instead of '='"),
        ("a" * 64, "expected a label's name"),
    ],
)
def test_a_bad_label_selector_is_refused_with_what_was_expected(text: str, says: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        selectors.parse(text)
    assert says in caught.value.message
    assert repr(text) in caught.value.message


OBJECT = {"metadata": {"name": "web", "namespace": "default"}, "status": {"phase": "Running"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("metadata.name=web", True),
        ("metadata.name==web", True),
        ("metadata.name=api", False),
        ("metadata.name!=api", True),
        (" metadata.namespace = default , status.phase=Running", True),
        ("status.phase!=Running", False),
        ("metadata.name=web,status.phase=Failed", False),
    ],
)
def test_a_field_selector_matches(text: str, expected: bool) -> None:
    assert selectors.parse_fields(text).matches(OBJECT) is expected


def test_a_missing_field_counts_as_empty() -> None:
    assert selectors.parse_fields("status.phase=").matches({"metadata": {"name": "web"}})
    assert not selectors.parse_fields("status.phase=Running").matches({"status": None})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("metadata.name", "expected FIELD=VALUE or FIELD!=VALUE instead of 'metadata.name'"),
        ("spec.image=x", "unknown field 'spec.image', expected one of metadata.name, metadata.namespace, status.phase"),
        ("=x", "unknown field ''"),
        ("metadata.name!x", "expected FIELD=VALUE"),
    ],
)
def test_a_bad_field_selector_is_refused(text: str, says: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        selectors.parse_fields(text)
    assert says in caught.value.message


@given(st.text(alphabet="ab/=!(),. in\tnot-\x00é", max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse in (selectors.parse, selectors.parse_fields):
        with contextlib.suppress(errors.Invalid):
            assert parse(text).matches({}) in (True, False)


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "x", "y"]))


@given(LABELS, st.sampled_from("abc"), st.sets(st.sampled_from(["", "x", "y"]), min_size=1))
def test_in_and_notin_are_opposites(labels: dict[str, str], key: str, values: set[str]) -> None:
    listed = ",".join(sorted(values))
    inside = selectors.parse(f"{key} in ({listed})").matches(labels)
    outside = selectors.parse(f"{key} notin ({listed})").matches(labels)
    assert inside is not outside
