"""The glance must name the same objects as the parser, or none at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli import peek

HEAD = "apiVersion: pydock.dev/v1\nkind: Container\nmetadata:\n"


def names(text: str) -> list[tuple[str, str, str]] | None:
    found = peek.glance(text.encode())
    return None if found is None else [(each.kind.name, each.namespace, each.name) for each in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD + "  name: web\nspec: {image: a}\n", [("Container", "", "web")]),
        (HEAD + "    namespace: prod\n    name: web\n", [("Container", "prod", "web")]),
        (HEAD.replace("\n", "\r\n") + "  name: web\r\n", [("Container", "", "web")]),
        ("# first\n\n" + HEAD + "\n  # inner\n  name: web # its name\n", [("Container", "", "web")]),
        (HEAD + "  name: 'web'\n", [("Container", "", "web")]),
        (HEAD + '  name: "web"\n', [("Container", "", "web")]),
        (HEAD + "  labels:\n    name: other\n  name: web\nspec:\n  name: third\n", [("Container", "", "web")]),
        (HEAD + "  annotations:\n    text: |\n      name: x\n  name: web\n", [("Container", "", "web")]),
        (
            "---\n" + HEAD + "  name: a\n---\n" + HEAD + "  name: b\n---\n",
            [("Container", "", "a"), ("Container", "", "b")],
        ),
        ("", []),
        ("# nothing\n---\n", []),
    ],
)
def test_plain_manifests(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{apiVersion: pydock.dev/v1, kind: Container, metadata: {name: web}}",
        HEAD[:-1] + " {name: web}\n",
        HEAD[:-1] + " &m\n  name: web\n",
        HEAD + "  name: *x\n",
        HEAD + "  name: |\n    web\n",
        HEAD + "  name: web\n  name: db\n",
        HEAD + "  labels: {}\n",
        HEAD + "  name: web\nkind: Image\n",
        HEAD + "\tname: web\n",
        HEAD + '  "name": web\n',
        HEAD + "  ? name\n  : web\n",
        HEAD + "    labels: {}\n  name: web\n",
        HEAD.replace("Container", "Pod") + "  name: web\n",
        HEAD.replace("Container", "!!str Container") + "  name: web\n",
        HEAD.replace("v1", "v2") + "  name: web\n",
        "kind: Container\nmetadata:\n  name: web\n",
        "apiVersion: v1\nkind: List\nitems:\n- kind: Container\n",
        "%YAML 1.2\n---\n" + HEAD + "  name: web\n",
        "--- # mark\n" + HEAD + "  name: web\n",
        "--- {}\n",
        HEAD + "  name: web\n...\n",
        "\ufeff" + HEAD + "  name: web\n",
        "- a\n",
        "just text\n",
        "x" * ((1 << 20) + 1),
    ],
)
def test_anything_else_is_left_to_the_parser(text: str) -> None:
    assert names(text) is None


def test_bytes_that_are_no_text() -> None:
    assert peek.glance(b"\xff\xfe") is None


def test_the_text_of_a_document_is_its_own(tmp_path: Path) -> None:
    text = "---\n" + HEAD + "  name: a\nspec:\n  args: |\n    x\n---\n" + HEAD + "  name: b\nspec:\n  args: |+\n    x"
    found = peek.glance(text.encode())
    assert found is not None
    assert [each.position for each in found] == [0, 1]
    assert [yaml.safe_load(each.text) for each in found] == [each for each in yaml.safe_load_all(text) if each]


LINES = st.sampled_from(
    [
        "apiVersion: pydock.dev/v1",
        "kind: Container",
        "kind: Image",
        "metadata:",
        "metadata: # the head",
        "  name: web",
        "  name: db",
        "  namespace: prod",
        "    name: deep",
        "  labels:",
        "    app: x",
        "  text: |",
        "    name: inside",
        "  kept: |+",
        '  name: "we',
        '  b"',
        "  'name': q",
        "spec:",
        "  image: a",
        "  args: [a,",
        "  b]",
        "---",
        "# note",
        "",
        "  ",
        "- item",
    ]
)


@given(st.lists(LINES, max_size=14))
def test_it_never_names_another_object_than_the_parser(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    found = names(text)
    if not found:
        return
    try:
        documents = [value for value in yaml.safe_load_all(text) if value is not None]
    except yaml.YAMLError:
        return  # the server refuses it
    expected = [
        (value["kind"], value["metadata"].get("namespace", ""), value["metadata"]["name"]) for value in documents
    ]
    assert found == expected
    parts = peek.glance(text.encode())
    assert parts is not None
    assert [yaml.safe_load(part.text) for part in parts] == documents
