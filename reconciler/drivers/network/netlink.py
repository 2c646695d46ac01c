"""Netlink sockets: messages in batches out, answers in; one socket serves one thread at a time.

Why not pyroute2's sockets: each asks one question a call, through an event loop of the thread that calls, and a
thread that has not used a socket before gets another one, in whatever network namespace that thread is then (see
docs/decisions/0007). Ours are made inside a namespace once and serve any thread. What goes through them is
pyroute2's (``codec``).

The kernel works through all messages of one send before the call returns, so a batch is quick and a process that is
killed leaves it either not begun or done.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reconciler.drivers.network import codec, kernel
from reconciler.drivers.network.codec import HEADER
from reconciler.drivers.network.pyroute import netlink, nlmsgerr

ROUTE, SOCK_DIAG, NETFILTER = netlink.NETLINK_ROUTE, netlink.NETLINK_SOCK_DIAG, netlink.NETLINK_NETFILTER
CREATE, EXCLUSIVE, REPLACE = netlink.NLM_F_CREATE, netlink.NLM_F_EXCL, netlink.NLM_F_REPLACE

#: NETLINK_CAP_ACK (linux/netlink.h) and SO_RCVBUFFORCE, which neither pyroute2 nor Python 3.11 names
_CAP_ACK, _SO_RCVBUFFORCE = 10, 33
_BUFFER = 1 << 17
#: answers to this many requests fit a socket's receive buffer with room to spare
_BATCH = 32
_RECEIVE_BUFFER = 1 << 20
_ERROR_NUMBER = codec.layout(nlmsgerr.fields)
(_ERROR_WORDS,) = codec.numbers(nlmsgerr, "NLMSGERR_ATTR_MSG")


#: by protocol: what it is for, and the module that has it
_NEEDED = {
    NETFILTER: ("netfilter netlink (for nftables and connection tracking)", "nfnetlink"),
    SOCK_DIAG: ("socket diagnosis", "inet_diag"),
    ROUTE: ("routing netlink", "rtnetlink"),
}


class Message(NamedTuple):
    """One request: netlink type, flags beyond REQUEST, and the body. ``tolerated`` error numbers count as done."""

    kind: int
    flags: int
    body: bytes
    tolerated: tuple[int, ...] = ()


class Reply(NamedTuple):
    """One answer: netlink type and the body after the netlink header."""

    kind: int
    body: memoryview


class Socket:
    """A netlink socket of the calling thread's network namespace; afterwards any thread may use it, one at a time."""

    def __init__(self, protocol: int, groups: Sequence[int] = ()) -> None:
        with kernel.needs(*_NEEDED.get(protocol, ("netlink", "netlink"))):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._sequence = itertools.count(1)
        try:
            self._configure(protocol, groups)
        except BaseException:
            self._socket.close()
            raise

    def _configure(self, protocol: int, groups: Sequence[int]) -> None:
        for option in (_CAP_ACK, netlink.NETLINK_EXT_ACK):
            self._socket.setsockopt(netlink.SOL_NETLINK, option, 1)
        if protocol == ROUTE:
            self._socket.setsockopt(netlink.SOL_NETLINK, netlink.NETLINK_GET_STRICT_CHK, 1)
        if groups:
            self._socket.bind((0, 0))  # an unbound socket has the kernel's own number and hears nothing
            for group in groups:
                self._socket.setsockopt(netlink.SOL_NETLINK, netlink.NETLINK_ADD_MEMBERSHIP, group)
            self._socket.setblocking(False)
        else:
            with contextlib.suppress(PermissionError):
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def drain(self) -> None:
        """Reads away what is pending on a socket that listens to groups."""
        while True:
            try:
                self._socket.recv(_BUFFER)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def change(self, messages: Sequence[Message]) -> None:
        """Sends all in one batch; raises the first error that its message does not tolerate, after all were tried."""
        failure: OSError | None = None
        for message, error in zip(messages, self.attempt(messages), strict=True):
            if error is not None and error.errno not in message.tolerated and failure is None:
                failure = error
        if failure is not None:
            raise failure

    def attempt(self, messages: Sequence[Message]) -> list[OSError | None]:
        """Sends all in one batch and returns each one's error."""
        return [error for _, error in self._exchange(messages, netlink.NLM_F_ACK)]

    def get(self, messages: Sequence[Message]) -> list[Reply | None]:
        """Asks for single objects, one answer each; None where the kernel reports an error that is tolerated."""
        found: list[Reply | None] = []
        for message, (reply, error) in zip(messages, self._exchange(messages, 0), strict=True):
            if error is not None and error.errno not in message.tolerated:
                raise error
            found.append(reply)
        return found

    def dump(self, message: Message) -> list[Reply]:
        """All objects that ``message`` asks for; asks again when they changed meanwhile."""
        while True:
            found, consistent = self._dump(message)
            if consistent:
                return found

    def _dump(self, message: Message) -> tuple[list[Reply], bool]:
        first = self._send([message._replace(flags=message.flags | netlink.NLM_F_DUMP)], 0)
        found: list[Reply] = []
        consistent = True
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence != first:
                    continue
                consistent = consistent and not flags & netlink.NLM_F_DUMP_INTR
                if kind == netlink.NLMSG_DONE:
                    return found, consistent
                if kind == netlink.NLMSG_ERROR:
                    error = _error(body)
                    if error is not None:
                        raise error
                    return found, consistent
                found.append(Reply(kind, body))

    def _exchange(self, messages: Sequence[Message], flags: int) -> list[tuple[Reply | None, OSError | None]]:
        answers: list[tuple[Reply | None, OSError | None]] = []
        for start in range(0, len(messages), _BATCH):
            part = messages[start : start + _BATCH]
            first = self._send(part, flags)
            answers += self._answers(first, len(part))
        return answers

    def _answers(self, first: int, count: int) -> list[tuple[Reply | None, OSError | None]]:
        answers: dict[int, tuple[Reply | None, OSError | None]] = {}
        while len(answers) < count:
            for kind, _, sequence, body in self._receive():
                if first <= sequence < first + count:
                    answers[sequence] = (
                        (None, _error(body)) if kind == netlink.NLMSG_ERROR else (Reply(kind, body), None)
                    )
        return [answers[sequence] for sequence in range(first, first + count)]

    def _send(self, messages: Sequence[Message], flags: int) -> int:
        """Sends a batch; returns the sequence number of its first message (the others follow)."""
        data = bytearray()
        first = 0
        for message in messages:
            sequence = next(self._sequence)
            first = first or sequence
            length = HEADER.size + len(message.body)
            data += HEADER.pack(length, message.kind, netlink.NLM_F_REQUEST | flags | message.flags, sequence, 0)
            data += message.body
            data += b"\0" * (-length % 4)
        self._socket.send(data)
        return first

    def _receive(self) -> Iterator[tuple[int, int, int, memoryview]]:
        """One datagram's messages: type, flags, sequence number, body."""
        data = memoryview(self._socket.recv(_BUFFER))
        offset = 0
        while offset + HEADER.size <= len(data):
            length, kind, flags, sequence, _ = HEADER.unpack_from(data, offset)
            if length < HEADER.size:
                return
            yield kind, flags, sequence, data[offset + HEADER.size : offset + length]
            offset += (length + 3) & ~3


def _error(body: memoryview) -> OSError | None:
    """What an acknowledgement says: None for success, else the error with the kernel's own words where it gives any."""
    (number,) = _ERROR_NUMBER.unpack_from(body)
    if number == 0:
        return None
    after = _ERROR_NUMBER.size + HEADER.size
    words = codec.string(codec.attributes(body, after).get(_ERROR_WORDS)) if len(body) > after else ""
    code = -number
    return OSError(code, f"{os.strerror(code)} ({words})" if words else os.strerror(code))
