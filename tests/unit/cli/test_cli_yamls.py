"""What the YAML writer writes, the reader takes for the same values; nothing of it steers a terminal."""

from __future__ import annotations

import json
from typing import Any

import hypothesis
import pytest
import yaml
from hypothesis import strategies

from reconciler import manifest
from reconciler.cli import output, params, yamls

#: texts that readers are known to take for something else, or that need care
AWKWARD = [
    "", " ", "~", "null", "Null", "yes", "NO", "on", "y", "N", "true", "0777", "0x1f", "22:22", "1_000", "1e3",
    "-1", "+1", ".5", ".inf", ".nan", "2025-01-01", "2025-01-01T00:00:00Z", "=", "<<", "-", "--", "---", "...",
    "- a", "? a", "a: b", "a:", ":a", "a #b", "#a", "&a", "*a", "!a", "%a", "@a", "`a", "'a'", '"a"', "[a]", "{a}",
    "a, b", "|", ">", "a\\b", "\\u202e", "-c", "--x=y", "10.88.0.1/16", "10.88", "10.88.0", " a", "a ", "a\n",
    "\na", "a\nb", "a\n\nb\n", "a\nb\n\n\n", " a\nb", "a \nb", "a\n  b\n", "a\n\tb", "a\tb", "a\r\nb", "a\n---\nb",
    "a\n%b", "#\na", "a\u0085b", "a\u2028b", "a\u202eb", "\x1b[31m", "\ufeffa", "\u00a0", "\u200b", "é", "日本",
    "\U0001f600", "\U000e0001", "a" * 300, "a " * 200 + "b", "docker.io/library/nginx:1.25", "unix:///run/x",
    "sh -c 'echo $x; exit 1'",
]  # fmt: skip
#: any character that the reader lets into a text
CHARACTERS = strategies.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = strategies.one_of(
    strategies.text(CHARACTERS), strategies.text(" \n\t-:#'\"\\|>%{}[],&*!?@`=~aé\u202e\x1b019._"),
    strategies.sampled_from(AWKWARD),
)  # fmt: skip
#: the reader takes no key "<<", however it is written: so nothing that is kept has one
KEYS = strategies.one_of(strategies.text(CHARACTERS, max_size=40), strategies.sampled_from(AWKWARD[:60])).filter(
    "<<".__ne__
)
SCALARS = strategies.one_of(
    TEXTS, strategies.booleans(), strategies.none(), strategies.integers(-(2**63), 2**63 - 1),
    strategies.floats(-1e15, 1e15, allow_nan=False).map(lambda number: round(number, 6)),
)  # fmt: skip
VALUES = strategies.recursive(
    SCALARS,
    lambda inner: strategies.one_of(
        strategies.lists(inner, max_size=4), strategies.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


def read(text: str) -> Any:
    """By pydock's own reader, which refuses what is in doubt."""
    return manifest.parse_yaml_body(text.encode())


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_texts_come_back(text: str) -> None:
    value = {"a": text, "b": [text, {"c": text}], "d": [[text]]}
    written = yamls.dump(value)
    assert read(written) == value
    assert yaml.safe_load(written) == value


@hypothesis.given(strategies.dictionaries(KEYS, VALUES, max_size=5))
@hypothesis.settings(max_examples=100, deadline=None)
def test_the_reader_takes_whatever_is_written(value: dict[str, Any]) -> None:
    written = yamls.dump(value)
    assert read(written) == value
    assert yaml.safe_load(written) == value
    assert all(char.isprintable() or char == "\n" for char in written)


@hypothesis.given(VALUES)
def test_json_keeps_its_meaning_and_hides_nothing(value: Any) -> None:
    written = output.value(value, params.Format("json"))
    assert json.loads(written) == value
    assert all(char.isprintable() or char in "\n\x7f" for char in written)


def test_what_people_read_stays_as_they_write_it() -> None:
    value = {
        "spec": {
            "image": "docker.io/library/nginx:1.25",
            "command": ["/bin/sh", "-c", "echo a\nexit 1\n"],
            "ports": [{"hostPort": 80, "hostIP": "127.0.0.1"}],
            "env": [],
            "labels": {"note": "grüß: 'x'", "on": "yes", "at": "2025-01-01"},
            "matrix": [[1, 2], []],
            "ratio": 0.5,
            "hidden": "a\u202eb",
        }
    }
    assert yamls.dump(value) == (
        "spec:\n"
        "  image: docker.io/library/nginx:1.25\n"
        "  command:\n"
        "  - /bin/sh\n"
        "  - -c\n"
        "  - |\n"
        "    echo a\n"
        "    exit 1\n"
        "  ports:\n"
        "  - hostPort: 80\n"
        "    hostIP: 127.0.0.1\n"
        "  env: []\n"
        "  labels:\n"
        "    note: 'grüß: ''x'''\n"
        "    'on': 'yes'\n"
        "    at: '2025-01-01'\n"
        "  matrix:\n"
        "  - - 1\n"
        "    - 2\n"
        "  - []\n"
        "  ratio: 0.5\n"
        '  hidden: "a\\u202Eb"\n'
    )
