"""Our checker and the jsonschema package give the same verdict on generated and on broken documents."""

from __future__ import annotations

import copy
import re
from typing import Any

import jsonschema
import referencing
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import exceptions, validators

from reconciler.manifest import contract, schema

BASE = "https://pydock.dev/schemas/v1/"

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


def _pattern(validator: Any, pattern: str, value: Any, node: Any) -> Any:
    """As ECMA 262 means it; jsonschema's own lets a newline pass at the end."""
    if isinstance(value, str) and re.search(re.sub(r"\$$", r"\\Z", pattern), value) is None:
        yield exceptions.ValidationError("pattern")


def _integer(checker: Any, value: Any) -> bool:
    """Stricter than the standard, for which 1.0 is an integer: such a number is always a slip in a manifest."""
    return isinstance(value, int) and not isinstance(value, bool)


def oracle(kind: str) -> Any:
    registry: Any = referencing.Registry().with_resource(
        BASE + "metadata.json", referencing.Resource.from_contents(contract.read("metadata.json"))
    )
    checker = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _integer)
    made = validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern}, type_checker=checker)
    return made(contract.of(kind), registry=registry)


ORACLES = {document["kind"]: oracle(document["kind"]) for document in GOOD}

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


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_the_same_verdict_as_jsonschema(data: st.DataObject) -> None:
    document = data.draw(st.sampled_from(GOOD))
    spot = data.draw(st.sampled_from([spot for spot in spots(document) if spot != ("kind",)]))
    mutant = broken(
        document, spot, data.draw(st.sampled_from(["replace", "remove", "add"])), data.draw(keys), data.draw(values)
    )
    ours = schema.check(contract.of(document["kind"]), mutant)
    theirs = list(ORACLES[document["kind"]].iter_errors(mutant))
    assert bool(ours) == bool(theirs), (mutant, ours, theirs)


def test_the_good_ones_are_good_and_every_finding_is_told_at_once() -> None:
    for document in GOOD:
        assert schema.check(contract.of(document["kind"]), document) == []
    mutant = copy.deepcopy(GOOD[0])
    mutant["spec"]["image"] = 5
    mutant["spec"]["ports"][0]["hostPort"] = 0
    mutant["metadata"]["labels"]["-"] = "-"
    paths = {finding.path for finding in schema.check(contract.of("Container"), mutant)}
    assert paths == {("spec", "image"), ("spec", "ports", 0, "hostPort"), ("metadata", "labels", "-")}
