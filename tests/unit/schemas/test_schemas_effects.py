"""A schema field that does nothing is a defect: each has a test that shows what it does."""

from __future__ import annotations

from pathlib import Path

from reconciler.testing import effects

TESTS = Path(__file__).resolve().parents[2]


def test_every_field_has_a_test_that_shows_its_effect() -> None:
    shown = effects.shown(TESTS)
    without = sorted(f"{kind}: {path}" for kind, path in effects.every_field() - shown.keys())
    assert not without, "no test is marked @effect_of for:\n" + "\n".join(without)


def test_no_test_shows_a_field_that_is_not_there() -> None:
    unknown = {place: tests for place, tests in effects.shown(TESTS).items() if place not in effects.every_field()}
    assert not unknown


def test_fields_are_found_in_structures_lists_and_maps() -> None:
    schema = {
        "properties": {
            "spec": {
                "properties": {
                    "ports": {"items": {"properties": {"hostPort": {}, "deep": {"properties": {"x": {}}}}}},
                    "args": {"items": {"type": "string"}},
                    "labels": {"additionalProperties": {"type": "string"}},
                    "empty": {"properties": {}},
                }
            },
            "metadata": {"$ref": "metadata.json"},
        }
    }
    assert list(effects.fields(schema)) == [
        "spec.ports[].hostPort",
        "spec.ports[].deep.x",
        "spec.args",
        "spec.labels",
        "spec.empty",
    ]


def test_only_what_pytest_collects_counts(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "class TestIt:\n"
        "    @effects.effect_of('Image', 'spec.reference')\n    def test_in_a_class(self): ...\n"
        "@effect_of('Network', 'spec.mtu', 'spec.internal')\n@other\ndef test_two(): ...\n"
        "@effect_of('Network', 'spec.subnet')\ndef helper(): ...\n"
    )
    (tmp_path / "helpers.py").write_text("@effect_of('Network', 'spec.gateway')\ndef test_nothing(): ...\n")
    found = effects.shown(tmp_path)
    assert found.keys() == {("Image", "spec.reference"), ("Network", "spec.mtu"), ("Network", "spec.internal")}
    assert found["Network", "spec.mtu"] == [f"{tmp_path.name}/test_x.py::test_two"]
