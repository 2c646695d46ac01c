"""Lines of ours in a stream of logs: told from the rest however the stream is cut into pieces."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.verbs import logs

MARK = b"m4rk"


@given(
    lines=st.lists(st.sampled_from([b"m4rk--- anew ---", b"m4r", b"a m4rk", b"", b"\r", b"m4rm4rk"]), max_size=8),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    ended=st.booleans(),
)
def test_marks_are_told_from_lines(lines: list[bytes], cuts: list[int], ended: bool) -> None:
    whole = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    complete = whole.split(b"\n")[:-1]
    parts = logs._Parts(MARK)
    found: list[tuple[bool, bytes]] = []
    edges = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    for begin, end in itertools.pairwise(edges):
        found += parts.add(whole[begin:end])
    marks = [text for is_mark, text in found if is_mark]
    assert marks == [line.removeprefix(MARK) for line in complete if line.startswith(MARK)]
    rest = b"".join(line + b"\n" for line in complete if not line.startswith(MARK)) + whole.split(b"\n")[-1]
    shown = b"".join(text for is_mark, text in found if not is_mark)
    assert shown + parts._held == rest


def test_a_line_is_shown_when_it_is_complete() -> None:
    parts = logs._Parts(MARK)
    assert list(parts.add(b"hello\n")) == [(False, b"hello\n")]
    assert list(parts.add(b"m4")) == []
    assert list(parts.add(b"x\n")) == [(False, b"m4x\n")]
