"""Decodes bytes, and refuses what no manifest contains: too many bytes, another encoding, characters that editors do
not show."""

from __future__ import annotations

import re

from reconciler.manifest import events

#: bytes of one file or request body
MAX_BYTES = 1 << 20

_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(data: bytes, limit: int = MAX_BYTES) -> str:
    """The text of ``data``: UTF-8, a byte order mark dropped. Raises ``events.Broken``."""
    if len(data) > limit:
        raise events.Broken(f"too large: more than {limit} bytes; split it into several files")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode("utf-8", "replace"))
        raise events.Broken(f"not UTF-8 text: byte 0x{data[error.start]:02x} ({error.reason})", line, column) from None
    found = _HIDDEN.search(text)
    if found:
        what = "NUL" if found[0] == "\0" else f"control character U+{ord(found[0]):04X}"
        raise events.Broken(f"{what} is not allowed in a manifest", *_place(text[: found.start()]))
    return text


def unfit(value: str) -> str:
    """Why a decoded string cannot be passed on to the kernel or to a client; empty if it can."""
    if "\0" in value:
        return "the text contains NUL, which no argument, variable or path can hold"
    if not value.isascii() and _SURROGATE.search(value):
        return "the text contains a lone surrogate, which is no character"
    return ""


def _place(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
