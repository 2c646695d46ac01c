"""Every fault that jsonschema finds is told in a sentence, at its place; what passed is not checked twice."""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.manifest import contract, paths, schema, sentences

GOOD: list[dict[str, Any]] = [
    {
        "apiVersion": "pydock.dev/v1",
        "kind": "Container",
        "metadata": {"name": "a", "labels": {"x/y": "z"}, "annotations": {"n": "\u00e9"}, "creationTimestamp": None},
        "spec": {
            "image": "a:b",
            "command": ["a", ""],
            "env": [{"name": "A", "value": "b"}],
            "user": "1:1",
            "ports": [{"containerPort": 80, "hostPort": 80, "protocol": "UDP", "hostIP": "1.2.3.4"}],
            "networks": [{"name": "a"}],
            "mounts": [
                {"mountPath": "/a", "tmpfs": {"sizeLimit": "1Mi"}},
                {"mountPath": "/b", "hostPath": {"path": "/"}},
            ],
            "resources": {"limits": {"cpu": 0.5, "memory": "64Mi", "pids": 5}},
            "dependsOn": [{"name": "b", "condition": "Started"}],
            "stopSignal": "SIGTERM",
            "securityContext": {"readOnlyRootFilesystem": True, "capabilities": {"add": ["KILL"]}},
        },
        "status": {"a": 1},
    },
    {
        "apiVersion": "pydock.dev/v1",
        "kind": "Network",
        "metadata": {"name": "n"},
        "spec": {"subnet": "1.2.3.0/24", "mtu": 600},
    },
    {"apiVersion": "pydock.dev/v1", "kind": "Image", "metadata": {"name": "i"}, "spec": {"reference": "r"}},
]


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(
        ["TCP", "Always", "ALL", "/a", "/a\n", "10.0.0.1", "64Mi", "a", "A", "SIGTERM", "1:1", "", 0, 1, 65536, 80.0]
    ),
)
keys = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["name", "value", "spec", "tmpfs", "hostPath", "image", "limits", "mtu", "a/b"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=6,
)


def spots(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    steps = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, below in steps:
        found += spots(below, (*path, step))
    return found


def broken(document: dict[str, Any], spot: tuple[Any, ...], how: str, key: str, value: Any) -> Any:
    """The document with one thing replaced, added or taken away."""
    made = copy.deepcopy(document)
    at: Any = made
    for step in spot[:-1]:
        at = at[step]
    if not spot:
        return {**made, key: value}
    if how == "remove" and isinstance(at, dict):
        del at[spot[-1]]
    elif how == "add" and isinstance(at[spot[-1]], dict):
        at[spot[-1]][key] = value
    elif how == "add" and isinstance(at[spot[-1]], list):
        at[spot[-1]].append(value)
    else:
        at[spot[-1]] = value
    return made


def mutants(data: st.DataObject) -> tuple[str, Any]:
    """A schema's file, and a good document with one thing broken (or not)."""
    document = data.draw(st.sampled_from(GOOD))
    spot = data.draw(st.sampled_from([spot for spot in spots(document) if spot != ("kind",)]))
    how = data.draw(st.sampled_from(["replace", "remove", "add"]))
    return contract.file_of(document["kind"]), broken(document, spot, how, data.draw(keys), data.draw(values))


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_every_fault_has_a_place_and_a_sentence_of_ours(data: st.DataObject) -> None:
    file, mutant = mutants(data)
    raw = {error.message for error in schema.validator(file).iter_errors(mutant)}
    findings = schema.check(file, mutant)
    assert bool(findings) == bool(raw)
    for finding in findings:
        assert finding.message not in raw
        at = mutant
        for step in finding.path[:-1] if finding.at_key else finding.path:
            at = at[step]
        if finding.at_key:
            assert (finding.path[-1] in at) == (finding.message != "required, but not given")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_passed_once_is_told_from_what_never_did(data: st.DataObject) -> None:
    file, mutant = mutants(data)
    fresh = schema.check(file, mutant)
    assert schema.check(file, mutant) == fresh
    assert schema.check(file, copy.deepcopy(mutant)) == fresh


def test_the_good_ones_are_good_and_every_finding_is_told_at_once() -> None:
    for document in GOOD:
        assert schema.check(contract.file_of(document["kind"]), document) == []
    mutant = copy.deepcopy(GOOD[0])
    mutant["spec"]["image"] = 5
    mutant["spec"]["ports"][0]["hostPort"] = 0
    mutant["metadata"]["labels"]["-"] = "-"
    paths = {finding.path for finding in schema.check("container.json", mutant)}
    assert paths == {("spec", "image"), ("spec", "ports", 0, "hostPort"), ("metadata", "labels", "-")}


def told(node: dict[str, Any], value: Any) -> list[str]:
    """What is said of ``value`` by a schema of the test's own."""
    found = [
        finding for error in jsonschema.Draft202012Validator(node).iter_errors(value) for finding in sentences.of(error)
    ]
    return [f"{paths.render(finding.path)}{'!' if finding.at_key else ''}: {finding.message}" for finding in found]


WORDINGS: list[tuple[str, dict[str, Any], Any, list[str]]] = [
    ("type", {"type": "integer"}, "5", [': found the text "5", expected a whole number']),
    ("type", {"type": ["string", "null"]}, True, [": found the boolean true, expected a text"]),
    (
        "type",
        {"type": ["string", "number"]},
        None,
        [": found nothing (null), expected a text or a number; leave the field out, or give it a value"],
    ),
    ("const", {"type": "string", "const": "v1"}, "v2", [': found the text "v2", expected "v1"']),
    ("const", {"type": "string", "const": "v1"}, 5, [": found the number 5, expected a text"]),
    ("enum", {"enum": ["TCP", "UDP"]}, "tcp", [': found "tcp", expected one of TCP, UDP; did you mean TCP?']),
    ("enum", {"type": "string", "enum": ["A", "B"]}, {}, [": found a map, expected a text"]),
    ("pattern", {"pattern": "^a$", "x-pydock-expects": "an a"}, "b", [': "b" is not an a']),
    ("pattern", {"pattern": "^a$"}, "b", [': "b" is not something like ^a$']),
    (
        "pattern",
        {"pattern": "^a$", "x-pydock-expects": "an a"},
        "\u0430",
        [': "\u0430" is not an a; it contains CYRILLIC SMALL LETTER A (U+0430)'],
    ),
    ("minLength", {"minLength": 1}, "", [": the text is empty"]),
    ("minLength", {"minLength": 3}, "a", [": the text is shorter than 3 characters"]),
    ("maxLength", {"maxLength": 2}, "abc", [": the text has 3 characters: at most 2 are allowed"]),
    ("minimum", {"minimum": 1}, 0, [": found 0, expected at least 1"]),
    ("minimum", {"minimum": 1, "maximum": 9}, 0, [": found 0, expected 1 to 9"]),
    ("maximum", {"maximum": 9}, 10, [": found 10, expected at most 9"]),
    ("maxItems", {"maxItems": 1}, [1, 2], [": the list has 2 entries: at most 1 are allowed"]),
    ("maxProperties", {"maxProperties": 1}, {"a": 1, "b": 2}, [": the map has 2 entries: at most 1 are allowed"]),
    ("required", {"required": ["a"]}, {}, ["a!: required, but not given"]),
    (
        "additionalProperties",
        {"properties": {"command": {}, "env": {}}, "x-pydock-later": ["tty"], "additionalProperties": False},
        {"comand": 1, "tty": 1, "zzz": 1, "env": 1},
        [
            "comand!: unknown field; did you mean command?",
            "tty!: not yet supported",
            "zzz!: unknown field: expected command, env",
        ],
    ),
    (
        "propertyNames",
        {"propertyNames": {"maxLength": 1}},
        {"ab": 1},
        ["ab!: the text has 2 characters: at most 1 are allowed"],
    ),
    (
        "propertyNames",
        {"properties": {"propertyNames": {"maxLength": 1}}},
        {"propertyNames": "ab"},
        ["propertyNames: the text has 2 characters: at most 1 are allowed"],
    ),
    (
        "oneOf",
        {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {},
        [": exactly one of a, b is needed: found none"],
    ),
    (
        "oneOf",
        {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"a": 1, "b": 1},
        [": exactly one of a, b is needed: found a and b"],
    ),
    (
        "then",
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"properties": {"c": {"type": "string"}}}},
        {"a": 1},
        ["b!: required, but not given"],
    ),
    (
        "else",
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"properties": {"c": {"type": "string"}}}},
        {"c": 1},
        ["c: found the number 1, expected a text"],
    ),
    ("items", {"items": {"properties": {"a": {"type": "boolean"}}}}, [{}, {"a": "no"}],
     ['[1].a: found the text "no", expected true or false']),
]  # fmt: skip


@pytest.mark.parametrize(("keyword", "node", "value", "said"), WORDINGS)
def test_each_keyword_in_words(keyword: str, node: dict[str, Any], value: Any, said: list[str]) -> None:
    assert told(node, value) == said


def test_no_keyword_is_without_words() -> None:
    assert {keyword for keyword, *_ in WORDINGS} | {"$ref", "properties", "if"} == schema.KEYWORDS


class TestStricterThanJsonschema:
    def network(self, **spec: Any) -> dict[str, Any]:
        return {"apiVersion": "pydock.dev/v1", "kind": "Network", "metadata": {"name": "n"}, "spec": spec}

    def test_a_whole_number_is_written_as_one(self) -> None:
        assert schema.check("network.json", self.network(mtu=1400)) == []
        (finding,) = schema.check("network.json", self.network(mtu=1400.0))
        assert finding.message == "found the number 1400.0, expected a whole number"
        (finding,) = schema.check("network.json", self.network(mtu=True))
        assert finding.message == "found the boolean true, expected a whole number"

    def test_a_pattern_ends_at_the_very_end(self) -> None:
        assert len(schema.check("network.json", self.network(gateway="10.0.0.1\n"))) == 1

    def test_also_in_what_a_schema_refers_to(self) -> None:
        document = {**self.network(), "metadata": {"name": "n\n", "generation": 3.0}}
        assert {finding.path for finding in schema.check("network.json", document)} == {
            ("metadata", "name"),
            ("metadata", "generation"),
        }


class TestPassed:
    @pytest.fixture(autouse=True)
    def empty(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schema, "passed", schema.Passed())

    def checks(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The files that jsonschema is asked for from now on."""
        asked: list[str] = []
        real = schema.validator
        monkeypatch.setattr(schema, "validator", lambda file: asked.append(file) or real(file))
        return asked

    def test_a_good_document_is_checked_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = self.checks(monkeypatch)
        for _ in range(3):
            assert schema.check("container.json", copy.deepcopy(GOOD[0])) == []
        assert asked == ["container.json"]

    def test_a_bad_one_is_told_each_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = self.checks(monkeypatch)
        for _ in range(2):
            assert len(schema.check("image.json", {**GOOD[2], "spec": {"reference": ""}})) == 2
        assert len(asked) == 2
        assert len(schema.passed) == 0

    def test_of_another_kind_it_is_another_document(self) -> None:
        assert schema.check("metadata.json", {"name": "a"}) == []
        assert schema.check("image.json", {"name": "a"})

    def test_what_differs_in_type_only_is_another_document(self) -> None:
        good = {**GOOD[1], "spec": {"mtu": 1400}}
        assert schema.check("network.json", good) == []
        assert schema.check("network.json", {**good, "spec": {"mtu": 1400.0}})
        assert schema.check("network.json", {**good, "spec": {"mtu": "1400"}})

    def test_what_json_cannot_hold_is_checked_each_time(self) -> None:
        document = {**GOOD[2], "status": {"text": "\ud800", "number": 2**70}}
        assert schema.check("image.json", document) == []
        assert len(schema.passed) == 0

    def test_only_so_many_are_kept_and_those_used_last(self) -> None:
        passed = schema.Passed(most=2)
        passed.add(b"a")
        passed.add(b"b")
        assert passed.knows(b"a")
        passed.add(b"c")
        assert [passed.knows(digest) for digest in (b"a", b"b", b"c")] == [True, False, True]
        assert len(passed) == 2

    def test_threads_may_share_it(self) -> None:
        passed, failures = schema.Passed(most=8), []

        def use(seed: int) -> None:
            try:
                for number in range(5000):
                    digest = bytes([(number * seed) % 11])
                    if not passed.knows(digest):
                        passed.add(digest)
            except (KeyError, RuntimeError) as error:
                failures.append(error)

        threads = [threading.Thread(target=use, args=(seed,)) for seed in (3, 5, 7)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(passed) <= 8


@pytest.mark.parametrize("words", [["get", "containers"], ["version"], ["delete", "container", "x"], ["stop", "x"]])
def test_a_command_that_checks_nothing_does_not_import_jsonschema(words: list[str], tmp_path: Path) -> None:
    program = (
        "import sys\nfrom reconciler.cli import main\n"
        f"sys.argv[1:] = ['-H', 'unix://{tmp_path}/none.sock', *{words!r}]\n"
        "def end(status=0): print(sorted(n for n in sys.modules if n in ('jsonschema', 'referencing'))); sys.exit(0)\n"
        "import os; os._exit = end\n"
        "main.main()\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert run.stdout.splitlines()[-1:] == ["[]"], run.stderr
