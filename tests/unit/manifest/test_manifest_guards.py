"""What a text must not do: limits, doubts, encodings. Memory is measured in the integration tests."""

from __future__ import annotations

import pytest

from reconciler import errors, manifest
from reconciler.manifest import scalars


def told(data: bytes | str, file: str = "a.yaml") -> str:
    data = data.encode() if isinstance(data, str) else data
    loaded = manifest.load(data, file)
    assert loaded.problems, "accepted"
    return "\n".join(map(str, loaded.problems))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 200_000, "a.yaml:1:65: nested too deep: more than 64 levels"),
        ("{a: " * 200_000, "a.yaml:1:257: nested too deep"),
        ("- " * 200_000, "a.yaml:1:129: nested too deep"),
        ("? " * 200_000, "a.yaml:1:3: a map or list cannot be a key"),
        ("".join(" " * level + "a:\n" for level in range(200)), "a.yaml:65:65: nested too deep"),
        ("a: &a [*a]", "a.yaml:1:8: the alias *a stands inside of what it names"),
        ("a: &a {b: *a}", "a.yaml:1:11: the alias *a stands inside"),
        ("a: *b", "a.yaml:1:4: the alias *b refers to no anchor"),
        ("&a x: 1\n*a : 2", "a.yaml:2:1: an alias cannot be a key"),
        ("[" + "a," * 50_001 + "]", "too large: more than 50000 values in one document"),
        ("a: &a " + "x" * 300_000 + "\nb: [" + "*a," * 10 + "]", "too large: more than 2097152 characters"),
        ("a: 1\nb: 2\na: 3\n", "a.yaml:3:1: a: the key a is given twice: first in line 1"),
        ("a:\n  b: 1\n  b: 2\n", "a.yaml:3:3: a.b: the key b is given twice: first in line 2"),
        ("a: &a {x: 1}\nb:\n  <<: *a\n", 'a.yaml:3:3: b["<<"]: merge keys (<<) are not supported'),
        (
            "a: !!python/object/apply:os.system [x]",
            "a.yaml:1:4: the tag !!python/object/apply:os.system is not supported",
        ),
        ("a: !foo x", "the tag !foo is not supported"),
        ("a: !!binary aGk=", "the tag !!binary is not supported"),
        ("%TAG !a! x\n--- 1\n", "a.yaml:1:1: directives are not supported"),
        ("a:\n\t- b\n", "a.yaml:2:1: not valid YAML: a tab stands where YAML wants spaces: indent with spaces"),
        ("a: @b", "a.yaml:1:4: not valid YAML: no plain text can start with '@': quote it"),
        ("a: b: c", "a.yaml:1:5: not valid YAML: a ':' stands where no key can be"),
        ("a: [1, 2", "not valid YAML"),
        ('a: "\\q"', "unknown escape in a double-quoted text"),
        ('a: "\\0"', "a.yaml:1:4: a: the text contains NUL"),
        ('"a\\0": 1', "the text contains NUL"),
        ('a: "\\ud800"', "not valid YAML"),
        (b"a: b\nc: \xff\n", "a.yaml:2:4: not UTF-8 text: byte 0xff"),
        ("a: b\n".encode("utf-16"), "a.yaml:1:1: not UTF-8 text"),
        (b"a: \xed\xa0\x80", "a.yaml:1:4: not UTF-8 text"),
        (b"a: \x00", "a.yaml:1:4: NUL is not allowed in a manifest"),
        (b"a: \x1b[31m", "a.yaml:1:4: control character U+001B is not allowed"),
        ("a: b\u2028c: d", "control character U+2028"),
        ("a: \u202edcba", "control character U+202E"),
        (b"x" * (1 << 20) + b"x", "too large: more than 1048576 bytes; split it into several files"),
    ],
)
def test_yaml_that_is_refused(text: bytes | str, said: str) -> None:
    assert said in told(text)


def test_an_alias_bomb_is_refused_before_it_is_built() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join(['*' + before] * 9)}]")
    assert "more than 50000 values" in told("\n".join(lines))


def test_depth_counts_through_aliases() -> None:
    nested = "x"
    for _ in range(40):
        nested = f"[{nested}]"
    deeper = "*a"
    for _ in range(30):
        deeper = f"[{deeper}]"
    assert "nested too deep" in told(f"a: &a {nested}\nb: {deeper}\n")


def test_modest_aliases_are_understood() -> None:
    assert manifest.parse_yaml_body(b"a: &a [1, 2]\nb: *a\nc: &c x\nd: *c") == {
        "a": [1, 2],
        "b": [1, 2],
        "c": "x",
        "d": "x",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 200_000, "a.json:1:65: nested too deep"),
        ('{"a":' * 200_000, "nested too deep"),
        ("9" * 5000, "the number has 5000 characters: at most 40 are allowed"),
        ("[1e999]", "the number 1e999 is too large"),
        ("[9223372036854775808]", "a.json:1:2: the number 9223372036854775808 is too large"),
        ("[NaN]", "a.json:1:2: not valid JSON: expected a value, found 'NaN'"),
        ("[-Infinity]", "not valid JSON: expected a value, found '-Infinity'"),
        ('{"a": 1, "a": 2}', "a.json:1:10: a: the key a is given twice: first in line 1"),
        ('{"a": 1,\n "b": {"c": 1, "c": 2}}', "a.json:2:16: b.c: the key c is given twice: first in line 2"),
        ('"\\ud800"', "a.json:1:1: the text contains a lone surrogate"),
        ('["\\u0000"]', "the text contains NUL"),
        ('{"a": 1,}', "a.json:1:9: not valid JSON: expected a key in double quotes, found '}'"),
        ('{"a" 1}', "not valid JSON: expected ':', found '1'"),
        ("[1 2]", "not valid JSON: expected ',' or ']', found '2'"),
        ("[1,]", "not valid JSON: expected a value, found ']'"),
        ("[01]", "not valid JSON"),
        ("[1.]", "not valid JSON"),
        ("['a']", 'not valid JSON: expected a value, found "\'"'),
        ('["a\nb"]', "not valid JSON: invalid control character"),
        ('["\\q"]', "not valid JSON: invalid \\\\escape"),
        ('"abc', "not valid JSON: unterminated string"),
        ("{} {}", "a.json:1:4: not valid JSON: something follows the end of the document"),
        ("[tru]", "expected a value, found 'tru'"),
        ("[", "expected a value, found the end of the text"),
        ("{", "expected a key in double quotes, found the end of the text"),
    ],
)
def test_json_that_is_refused(text: str, said: str) -> None:
    assert said.replace("\\\\", "\\") in told(text, "a.json")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("Yes", True),
        ("on", True),
        ("OFF", False),
        ("no", False),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("9223372036854775807", 2**63 - 1),
        ("1.5", 1.5),
        ("-0.25", -0.25),
        ("2.", 2.0),
        ("y", "y"),
        ("nO", "nO"),
        ("abc", "abc"),
        ("500m", "500m"),
        ("64Mi", "64Mi"),
        ("1.2.3", "1.2.3"),
        ("8080:80", "8080:80"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("-", "-"),
        ("...", "..."),
        ("1-2", "1-2"),
        (".5x", ".5x"),
        ("0x", "0x"),
        ("=", "="),
        ("+", "+"),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    found, doubt = scalars.resolve(text)
    assert doubt == ""
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "0777",
        "00",
        "-07",
        "08",
        "0o17",
        "0x1F",
        "0b11",
        "1_000",
        "1_000.5",
        "22:22",
        "1:20:30.5",
        "-1:30",
        ".inf",
        "-.INF",
        ".NaN",
        "1e3",
        "1.5e-3",
        "1E9",
        ".5",
        "2026-01-01",
        "2026-1-1",
        "2026-01-01T00:00:00Z",
        "2026-01-01 00:00:00",
        "9223372036854775808",
        "9" * 5000,
        "1" * 40 + ".5",
        "0" * 100_000,
        "01.5",
    ],
)
def test_scalars_that_readers_differ_on_are_never_guessed(text: str) -> None:
    found, doubt = scalars.resolve(text)
    assert found == text
    assert doubt


def test_quoted_or_tagged_text_is_never_in_doubt() -> None:
    text = b'["no", \'22:22\', !!str 0777, "", !!str 5, |-\n 1_000\n]'
    assert manifest.parse_yaml_body(b"a: \"no\"\nb: '22:22'\nc: !!str 0777\nd: |-\n  1_000\n") == {
        "a": "no",
        "b": "22:22",
        "c": "0777",
        "d": "1_000",
    }, text


def test_look_alike_names_are_shown() -> None:
    said = told("apiVersion: pydock.dev/v1\nkind: Network\nmetadata: {name: n\u0430me}\n")
    assert "it contains CYRILLIC SMALL LETTER A (U+0430)" in said
    said = told("apiVersion: pydock.dev/v1\nkind: Network\nmetadata: {name: a}\nsp\u0435c: {}\n")
    assert "unknown field; did you mean spec?; it contains CYRILLIC SMALL LETTER IE (U+0435)" in said


@pytest.mark.parametrize("name", ["../x", "a/b", "a\nb", "a" * 64, "", "-a", "A", "a.b", "a\u0000", "a\n"])
def test_names_that_no_object_may_have(name: str) -> None:
    document = {"apiVersion": "pydock.dev/v1", "kind": "Network", "metadata": {"name": name}}
    with pytest.raises(errors.Invalid):
        manifest.check(document)
    with pytest.raises(errors.Invalid):
        manifest.check({**document, "metadata": {"name": "a", "namespace": name}})


class TestBodies:
    def test_json(self) -> None:
        assert manifest.parse_json(b'{"a": [1, 2.5, true, null, "x\\n\\u00e9"]}') == {
            "a": [1, 2.5, True, None, "x\n\u00e9"]
        }

    def test_refusals_are_invalid(self) -> None:
        for body in (b"", b"[NaN]", b'{"a":1,"a":1}', b"[" * 100, b"\xff", b"{} {}"):
            with pytest.raises(errors.Invalid):
                manifest.parse_json(body)
        for body in (b"", b"a: 1\n---\nb: 2\n", b"a: 0777", b"<<: {}"):
            with pytest.raises(errors.Invalid):
                manifest.parse_yaml_body(body)

    def test_limits_can_be_raised_for_many_documents(self) -> None:
        body = b"[" + b"1," * 60_000 + b"1]"
        with pytest.raises(errors.Invalid, match="more than 50000 values"):
            manifest.parse_json(body)
        assert len(manifest.parse_json(body, max_nodes=100_000)) == 60_001
        with pytest.raises(errors.Invalid, match="more than 100 bytes"):
            manifest.parse_json(body, max_bytes=100)
