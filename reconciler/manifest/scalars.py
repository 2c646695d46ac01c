"""What a plain YAML scalar means, and when that is in doubt.

YAML 1.1 (which most tools still read) and 1.2 disagree about ``0777``, ``1_000``, ``22:22``, ``1e3``: a text that two
readers read differently is never guessed at. ``no``, ``on`` and their like are booleans where a boolean is meant and
refused, by the schema, where a text is.
"""

from __future__ import annotations

import re

_WORDS: dict[str, bool | None] = {"": None, "~": None}
for _word, _meaning in (
    ("null", None),
    ("true", True),
    ("yes", True),
    ("on", True),
    ("false", False),
    ("no", False),
    ("off", False),
):
    _WORDS.update({_word: _meaning, _word.capitalize(): _meaning, _word.upper(): _meaning})

#: anything that is not a word above and starts otherwise is a text
_NUMERIC = re.compile(r"[-+.0-9]")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})\Z")
_DECIMAL = re.compile(r"[-+]?[0-9]{1,30}\.[0-9]{0,30}\Z")
_DOUBTS = (
    (re.compile(r"[-+]?0[0-9_]+\Z"), "some readers take a leading 0 for octal"),
    (re.compile(r"[-+]?0[box][0-9a-fA-F_]+\Z"), "readers differ on binary, octal and hexadecimal numbers"),
    (re.compile(r"[-+]?[0-9][0-9_]*_[0-9_.]*\Z"), "readers differ on '_' within numbers"),
    (re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z"), "some readers take it for a number of base 60"),
    (re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z"), "infinity is no value here"),
    (re.compile(r"\.(?:nan|NaN|NAN)\Z"), "'not a number' is no value here"),
    (
        re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)[eE][-+]?[0-9]+\Z"),
        "readers differ on numbers with an exponent",
    ),
    (re.compile(r"[-+]?\.[0-9][0-9_]*\Z"), "readers differ on numbers that start with a point"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?\Z"), "some readers take it for a date"),
    (re.compile(r"[-+]?[0-9]+\.?[0-9]*\Z"), "the number is too long"),
)
_MAX_INTEGER = 2**63 - 1
#: no number or date is longer; the expressions above would take quadratic time on more
_MAX_DOUBTFUL = 64
_LONG_NUMBER = re.compile(r"[-+]?[0-9_.:]+\Z")


def resolve(text: str) -> tuple[str | int | float | bool | None, str]:
    """The value of a plain scalar, and the doubt about it (empty if there is none; with a doubt the value is the
    text)."""
    if text in _WORDS:
        return _WORDS[text], ""
    if not _NUMERIC.match(text):
        return text, ""
    if _INTEGER.match(text):
        number = int(text)
        return (number, "") if -_MAX_INTEGER - 1 <= number <= _MAX_INTEGER else (text, "the number is too long")
    if _DECIMAL.match(text) and not re.match(r"[-+]?0[0-9]", text):
        return float(text), ""
    if len(text) > _MAX_DOUBTFUL:
        return text, "the number is too long" if _LONG_NUMBER.match(text) else ""
    return text, next((doubt for form, doubt in _DOUBTS if form.match(text)), "")
