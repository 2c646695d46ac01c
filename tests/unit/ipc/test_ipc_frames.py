from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.ipc import frames

LIMIT = 1 << 20


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    left.settimeout(10)
    right.settimeout(10)
    with left, right:
        yield left, right


def open_fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_frames_arrive_whole_and_in_order(pair: tuple[socket.socket, socket.socket]) -> None:
    sender, receiver = frames.Channel(pair[0]), frames.Channel(pair[1])
    sent = [b"", b"a", b"x" * 70_000, b"{}"]

    def send_all() -> None:
        for payload in sent:
            sender.send(payload, LIMIT)
        sender.close()

    thread = threading.Thread(target=send_all)
    thread.start()
    got = []
    while (frame := receiver.receive(LIMIT)) is not None:
        got.append(bytes(frame))
    thread.join()
    assert got == sent


@settings(max_examples=30, deadline=None)
@given(
    payloads=st.lists(st.binary(max_size=5000), max_size=8),
    cuts=st.lists(st.integers(1, 3000), min_size=1, max_size=40),
)
def test_frames_do_not_depend_on_how_the_bytes_are_cut(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(len(payload).to_bytes(4, "big") + payload for payload in payloads)
    left, right = socket.socketpair()
    right.settimeout(10)

    def dribble() -> None:
        at = turn = 0
        while at < len(stream):
            step = cuts[turn % len(cuts)]
            left.sendall(stream[at : at + step])
            at, turn = at + step, turn + 1
        left.close()

    thread = threading.Thread(target=dribble)
    thread.start()
    channel, got = frames.Channel(right), []
    while (frame := channel.receive(LIMIT)) is not None:
        got.append(bytes(frame))
    thread.join()
    channel.close()
    assert got == payloads


def test_a_frame_that_was_read_ahead_is_known(pair: tuple[socket.socket, socket.socket]) -> None:
    receiver = frames.Channel(pair[1])
    pair[0].sendall(b"\0\0\0\1a\0\0\0\2bc\0\0\0\3d")
    assert not receiver.holds_frame()
    assert receiver.receive(LIMIT) == b"a"
    assert receiver.holds_frame()
    assert receiver.receive(LIMIT) == b"bc"
    assert not receiver.holds_frame()


@pytest.mark.parametrize("cut", [b"\0", b"\0\0\0\5abc", b"\0\0\0\5"])
def test_an_end_inside_a_frame_is_an_error(pair: tuple[socket.socket, socket.socket], cut: bytes) -> None:
    pair[0].sendall(cut)
    pair[0].close()
    with pytest.raises(frames.FrameError, match="inside a frame"):
        frames.Channel(pair[1]).receive(LIMIT)


def test_an_oversized_frame_is_refused_by_its_header(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].sendall(b"\xff\xff\xff\xff")
    with pytest.raises(frames.FrameError, match="4294967295 bytes is over the limit"):
        frames.Channel(pair[1]).receive(LIMIT)


def test_an_oversized_frame_is_not_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(frames.FrameError):
        frames.Channel(pair[0]).send(b"x" * (LIMIT + 1), LIMIT)


def test_descriptors_come_along_close_on_exec(pair: tuple[socket.socket, socket.socket]) -> None:
    reader, writer = os.pipe()
    frames.Channel(pair[0]).send(b"look", LIMIT, [writer])
    os.close(writer)
    channel = frames.Channel(pair[1], expect_fds=True)
    assert channel.receive(LIMIT) == b"look"
    (fd,) = channel.fds
    assert not os.get_inheritable(fd)
    os.write(fd, b"hi")
    os.close(fd)
    assert os.read(reader, 10) == b"hi"
    os.close(reader)


def test_surplus_descriptors_are_closed(pair: tuple[socket.socket, socket.socket]) -> None:
    before = open_fds()
    null = os.open("/dev/null", os.O_RDONLY)
    frames.Channel(pair[0]).send(b"many", LIMIT, [null] * 60)
    os.close(null)
    channel = frames.Channel(pair[1], expect_fds=True)
    assert channel.receive(LIMIT) == b"many"
    assert len(channel.fds) == frames.MAX_FDS
    for fd in channel.fds:
        os.close(fd)
    assert open_fds() == before


def test_descriptors_nobody_expects_are_closed(pair: tuple[socket.socket, socket.socket]) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    before = open_fds()
    sender, channel = frames.Channel(pair[0]), frames.Channel(pair[1], expect_fds=True)
    sender.send(b"first", LIMIT)
    assert channel.receive(LIMIT) == b"first"
    sender.send(b"later", LIMIT, [null])
    assert channel.receive(LIMIT) == b"later"
    assert channel.fds == []
    assert open_fds() == before
    os.close(null)
