"""The schemas are valid, complete, and agree with the types, the drivers and the examples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from reconciler import manifest
from reconciler.drivers.exec import capabilities
from reconciler.kinds import table
from reconciler.kinds.container.aspects import security
from reconciler.kinds.container.spec import ContainerSpec
from reconciler.manifest import contract, schema
from reconciler.model import kinds, quantity

FILES = ("metadata.json", "image.json", "network.json", "container.json")
ANNOTATIONS = {
    "$schema",
    "$id",
    "title",
    "description",
    "default",
    "readOnly",
    "x-pydock-expects",
    "x-pydock-later",
    "x-pydock-change",
    "x-pydock-short",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
}
ROOT = Path(__file__).resolve().parents[3]


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every subschema with its path."""
    yield path, node
    for name, below in node.get("properties", {}).items():
        yield from nodes(below, f"{path}.{name}")
    for keyword in ("items", "additionalProperties", "propertyNames"):
        if isinstance(node.get(keyword), dict):
            yield from nodes(node[keyword], f"{path}[{keyword}]")


def of_kind(kind: str) -> list[tuple[str, dict[str, Any]]]:
    return list(nodes(contract.spec_of(kind), "spec"))


@pytest.mark.parametrize("file", FILES)
def test_each_is_a_valid_schema_and_written_in_one_way(file: str) -> None:
    text = (ROOT / "schemas" / file).read_text()
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
    assert json.loads(text)["$id"].endswith(f"/{file}")


def test_nothing_else_is_there() -> None:
    assert {entry.name for entry in contract.folder().iterdir()} == set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_only_keywords_that_are_checked(file: str) -> None:
    for path, node in nodes(contract.read(file)):
        unknown = node.keys() - schema.KEYWORDS - ANNOTATIONS
        assert not unknown, f"{file}{path}: {unknown}"
        if node.keys() & {"const", "enum"}:
            assert node["type"] == "string", f"{file}{path}"
        assert "oneOf" not in node or node["type"] == "object", f"{file}{path}"
        for choice in node.get("oneOf", ()):
            assert choice.keys() == {"required"}
            assert len(choice["required"]) == 1


@pytest.mark.parametrize("file", FILES)
def test_each_field_is_described_and_closed(file: str) -> None:
    for path, node in nodes(contract.read(file)):
        if "$ref" in node or path.endswith("[propertyNames]"):
            continue
        assert node["description"].endswith("."), f"{file}{path}"
        if node.get("type") == "object" and not node.get("readOnly"):
            assert "additionalProperties" in node, f"{file}{path}"
        if "pattern" in node:
            assert node["pattern"][0] == "^", f"{file}{path}"
            assert node["pattern"][-1] == "$", f"{file}{path}"
            assert "x-pydock-expects" in node, f"{file}{path}"


def test_later_fields_are_not_there_yet() -> None:
    for file in FILES:
        for path, node in nodes(contract.read(file)):
            assert not set(node.get("x-pydock-later", ())) & set(node.get("properties", {})), f"{file}{path}"


def test_the_default_of_pids_is_the_daemon_s() -> None:
    limits = contract.spec_of("Container")["properties"]["resources"]["properties"]["limits"]["properties"]
    assert limits["pids"]["default"] == quantity.DEFAULT_PIDS


def test_capabilities_are_those_of_the_driver() -> None:
    assert set(security.NAMES) == {"ALL", *capabilities.KNOWN}


@pytest.mark.parametrize("kind", [kind.name for kind in kinds.KINDS])
def test_each_field_says_what_an_edit_does(kind: str) -> None:
    in_place = {name for name, node in table.spec_fields(kind).fields.items() if node.field.in_place}
    properties = contract.spec_of(kind)["properties"]
    assert {node["x-pydock-change"] for node in properties.values()} <= {"in-place", "recreate"}
    assert {name for name, node in properties.items() if node["x-pydock-change"] == "in-place"} == in_place


def test_lists_say_how_they_merge() -> None:
    for kind in kinds.KINDS:
        for path, node in of_kind(kind.name):
            if node.get("type") != "array":
                continue
            keys = node.get("x-kubernetes-list-map-keys")
            assert node["x-kubernetes-list-type"] == ("map" if keys else "atomic"), path
            for key in keys or ():
                item = node["items"]
                assert key in item["properties"], path
                assert key in item.get("required", ()) or "default" in item["properties"][key], path


def examples() -> list[Path]:
    return sorted((ROOT / "manifests").iterdir())


@pytest.mark.parametrize("path", examples(), ids=lambda path: path.name)
def test_examples_are_good(path: Path) -> None:
    loaded = manifest.load(path.read_bytes(), path.name)
    assert loaded.problems == ()
    assert loaded.documents
    if path.suffix != ".json":
        assert path.read_text().startswith("# ")


def test_examples_fit_together() -> None:
    """One object once, one host port once, and all that is referred to is there."""
    documents = [each.document for path in examples() for each in manifest.load(path.read_bytes(), path.name).documents]
    keys = [document.key for document in documents]
    assert len(set(keys)) == len(keys)
    assert {key.kind for key in keys} == {kind.name for kind in kinds.KINDS}
    containers = [
        (document, msgspec.convert(document.spec, ContainerSpec))
        for document in documents
        if document.key.kind == "Container"
    ]
    ports = [(port.host_port, port.protocol) for _, spec in containers for port in spec.ports]
    assert len(set(ports)) == len(ports)
    for document, spec in containers:
        for dependency in spec.depends_on:
            assert document.key._replace(name=dependency.name) in keys
        for network in spec.networks:
            assert document.key._replace(kind="Network", name=network.name) in keys


def test_examples_show_every_field() -> None:
    shown: dict[str, set[str]] = {kind.name: set() for kind in kinds.KINDS}
    for path in examples():
        for each in manifest.load(path.read_bytes(), path.name).documents:
            shown[each.document.key.kind] |= each.document.spec.keys()
    for kind in kinds.KINDS:
        assert shown[kind.name] == contract.spec_of(kind.name)["properties"].keys(), kind.name
