from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.server.intake import BODY_LIMIT, HEAD_LIMIT, Intake, State

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nfoo\r\n0\r\n\r\n"
TRAILERS = b"POST / HTTP/1.1\r\ntransfer-encoding:Chunked\r\n\r\n1\r\na\r\n0\r\nA: b\r\nC: d\r\n\r\n"


@pytest.mark.parametrize("request_bytes", [GET, POST, CHUNKED, TRAILERS])
def test_a_request_is_ready_with_its_last_byte_and_not_before(request_bytes: bytes) -> None:
    intake = Intake()
    for at in range(len(request_bytes) - 1):
        assert intake.feed(request_bytes[at : at + 1]) is State.MORE, request_bytes[: at + 1]
    assert not intake.whole
    assert intake.feed(request_bytes[-1:]) is State.READY
    assert intake.whole
    assert bytes(intake.buffer) == request_bytes


@given(
    st.sampled_from([GET, POST, CHUNKED, TRAILERS]), st.lists(st.integers(1, 40), min_size=1), st.binary(max_size=40)
)
def test_how_the_bytes_are_cut_changes_nothing(request_bytes: bytes, cuts: list[int], behind: bytes) -> None:
    stream, intake, at, turn = request_bytes + behind, Intake(), 0, 0
    state = State.MORE
    while state is State.MORE:
        step = cuts[turn % len(cuts)]
        state = intake.feed(stream[at : at + step])
        at, turn = at + step, turn + 1
    assert state is State.READY
    assert at >= len(request_bytes)
    assert at - cuts[(turn - 1) % len(cuts)] < len(request_bytes)


def test_a_head_without_end_is_huge() -> None:
    intake = Intake()
    assert intake.feed(b"GET / HTTP/1.1\r\nX: " + b"a" * (HEAD_LIMIT - 100)) is State.MORE
    assert intake.feed(b"a" * 100) is State.HUGE


def test_a_huge_head_with_an_end_is_huge_too() -> None:
    assert Intake().feed(b"GET / HTTP/1.1\r\nX: " + b"a" * HEAD_LIMIT + b"\r\n\r\n") is State.HUGE


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_an_archive_is_not_waited_for(framing: str) -> None:
    intake = Intake()
    head = f"POST / HTTP/1.1\r\nContent-Type: application/x-tar\r\n{framing}\r\n\r\n".encode()
    assert intake.feed(head[:-1]) is State.MORE
    assert intake.feed(head[-1:]) is State.READY
    assert (intake.flows, intake.whole) == (True, False)


def test_a_body_over_the_limit_is_not_waited_for() -> None:
    intake = Intake()
    head = f"POST / HTTP/1.1\r\nContent-Length: {BODY_LIMIT + 1}\r\n\r\n".encode()
    assert intake.feed(head) is State.READY
    assert not intake.whole


def test_chunks_over_the_limit_are_not_waited_for() -> None:
    intake = Intake()
    assert intake.feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n") is State.MORE
    states = [intake.feed(b"x" * (1 << 20)) for _ in range(9)]
    assert states[-1] is State.READY
    assert not intake.whole


@pytest.mark.parametrize(
    "odd",
    [
        b"GET / HTTP/1.1\n\n",
        b"GET / HTTP/1.1\r\nHost: x\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;" * 5000,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    ],
)
def test_what_looks_odd_is_left_to_the_parser_at_once(odd: bytes) -> None:
    assert Intake().feed(odd) is State.READY


def test_an_expectation_is_seen_with_the_head() -> None:
    intake = Intake()
    assert intake.feed(b"POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n") is State.MORE
    assert intake.wants_continue
    assert intake.feed(b"x") is State.READY


def test_headers_are_found_whatever_their_case_and_spaces() -> None:
    intake = Intake()
    assert intake.feed(b"POST / HTTP/1.1\r\ncontent-LENGTH :  2 \r\n\r\n") is State.MORE
    assert intake.feed(b"ab") is State.READY


def test_a_header_in_the_body_counts_for_nothing() -> None:
    intake = Intake()
    body = b"a\r\nContent-Length: 900\r\n\r\n"
    head = f"POST / HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    assert intake.feed(head + body) is State.READY
    assert intake.whole
