"""Strangers' text for a terminal or a log: nothing in it can move the cursor, forge a line or turn letters round."""

from __future__ import annotations

import re

#: controls (C0, DEL, C1), the separators of lines and paragraphs, marks and overrides of writing direction
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """``text`` with such characters as escapes, as Python writes them."""
    return _HIDDEN.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    letter = found[0]
    return _SHORT.get(letter) or (f"\\x{ord(letter):02x}" if ord(letter) < 0x100 else f"\\u{ord(letter):04x}")
