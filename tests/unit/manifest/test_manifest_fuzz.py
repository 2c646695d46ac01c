"""Whatever the bytes are: documents or problems, never another exception."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import errors, manifest

GOOD = """\
apiVersion: pydock.dev/v1
kind: Container
metadata: {name: web, labels: &l {a: b}}
spec:
  image: nginx
  env:
  - name: A
    value: "x"
  ports: [{containerPort: 80, hostPort: 80}]
"""
PIECES = (
    "[",
    "]",
    "{",
    "}",
    ":",
    ": ",
    "- ",
    "? ",
    "\n",
    "  ",
    "&a ",
    "*a",
    "!!str ",
    "!x ",
    "|",
    ">",
    "'",
    '"',
    "\\",
    "#",
    "%",
    "---\n",
    "...\n",
    ",",
    "<<: *a",
    "no",
    "0777",
    "1e3",
    "~",
    "\t",
    "\x00",
    "\u2028",
    "\ufeff",
    "\U0001f600",
    "metadata",
    "spec",
    "kind: List\n",
    "items:\n",
)

pieces = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=40).map("".join)


def check(data: bytes, file: str) -> None:
    loaded = manifest.load(data, file)
    for problem in loaded.problems:
        assert problem.message
        assert problem.file == file
        str(problem).encode()
    for located in loaded.documents:
        manifest.effective(located.document.key.kind, located.document.spec)
        assert manifest.check(json.loads(json.dumps(located.raw))) == located.document


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.binary(max_size=60), pieces.map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_any_bytes(data: bytes) -> None:
    check(data, "a.yaml")
    check(data, "a.json")


@settings(max_examples=500, deadline=None)
@given(st.integers(0, len(GOOD)), st.integers(0, 12), pieces)
def test_a_good_file_with_something_in_it(at: int, cut: int, inserted: str) -> None:
    check((GOOD[:at] + inserted + GOOD[at + cut :]).encode("utf-8", "surrogatepass"), "a.yaml")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(GOOD)))
def test_a_file_cut_short(length: int) -> None:
    check(GOOD[:length].encode(), "a.yaml")


values: Any = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=5),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None)
@given(values)
def test_json_is_what_the_standard_library_reads(value: Any) -> None:
    text = json.dumps(value)
    try:
        found = manifest.parse_json(text.encode())
    except errors.Invalid as error:
        assert "NUL" in str(error) or "surrogate" in str(error)  # noqa: PT017
        return
    assert found == json.loads(text)
    assert json.dumps(found) == text


@settings(max_examples=300, deadline=None)
@given(values)
def test_yaml_is_what_pyyaml_reads_when_both_read_it(value: Any) -> None:
    text = yaml.safe_dump(value, allow_unicode=False)
    try:
        found = manifest.parse_yaml_body(text.encode())
    except errors.Invalid:
        return
    assert found == value


@settings(max_examples=200, deadline=None)
@given(values)
def test_check_of_any_value(value: Any) -> None:
    for document in (value, {"apiVersion": "pydock.dev/v1", "kind": "Container", "metadata": value, "spec": value}):
        with pytest.raises(errors.Invalid) as raised:
            manifest.check(document)
        assert raised.value.problems
