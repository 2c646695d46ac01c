"""Both ends of the engine socket against each other."""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from reconciler import errors
from reconciler.ipc import Call, CallerLeft, EngineClient, EngineServer, frames, wire
from reconciler.requests import containers, objects, service
from reconciler.testing.wait import until

PING = service.Ping()


@contextmanager
def joined(
    serve: Callable[[Call], None], start: bool = True, accept_timeout: float = 10.0, **settings: object
) -> Iterator[tuple[EngineClient, EngineServer]]:
    """A client and a server; afterwards no descriptor may be left."""
    before = len(os.listdir("/proc/self/fd"))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = EngineServer(theirs, serve, **settings)  # type: ignore[arg-type]
    if start:
        server.start()
    client = EngineClient(ours, accept_timeout)
    try:
        yield client, server
    finally:
        ours.close()
        assert server.close()
    until(lambda: len(os.listdir("/proc/self/fd")) == before, what="every descriptor to be closed")


def test_a_call_gets_its_result() -> None:
    def serve(call: Call) -> None:
        call.result({"name": call.name, "args": call.args})

    with joined(serve) as (client, _):
        got = client.call("get", objects.Get(kind="Container", namespace="default", name="wéb"))
        assert got == {"name": "get", "args": {"kind": "Container", "namespace": "default", "name": "wéb"}}


def test_a_handler_that_says_nothing_answers_an_empty_object() -> None:
    with joined(lambda call: None) as (client, _):
        assert client.call("ping", PING) == {}


def test_errors_arrive_as_they_were_raised() -> None:
    def serve(call: Call) -> None:
        raise errors.Invalid("no", [errors.Problem("bad", "spec.image")])

    with joined(serve) as (client, _), pytest.raises(errors.Invalid, match="no") as caught:
        client.call("ping", PING)
    assert caught.value.problems == (errors.Problem("bad", "spec.image"),)


def test_a_bug_in_a_handler_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    def serve(call: Call) -> None:
        raise KeyError("secret detail")

    with joined(serve) as (client, _), caplog.at_level(logging.ERROR), pytest.raises(errors.Permanent) as caught:
        client.call("ping", PING)
    assert "secret" not in caught.value.message
    mark = caught.value.message.split()[2].rstrip(":")
    assert mark in caplog.text
    assert "secret detail" in caplog.text


def test_large_values_pass_both_ways() -> None:
    def serve(call: Call) -> None:
        call.result(msgspec.Raw(b'"' + b"y" * (30 << 20) + b'"'))

    with joined(serve) as (client, _):
        document = {"blob": "x" * (7 << 20)}
        raw = client.call_raw("post", objects.Post(document=document, manager="m"))
        assert len(bytes(raw)) == (30 << 20) + 2


def test_a_request_too_large_is_refused_before_it_is_sent() -> None:
    with joined(lambda call: None) as (client, _), pytest.raises(errors.Invalid, match="too large"):
        client.call("post", objects.Post(document={"blob": "x" * (9 << 20)}, manager="m"))


def test_an_answer_too_large_is_an_error_that_teaches() -> None:
    with joined(lambda call: call.result("x" * (65 << 20))) as (client, _):
        with pytest.raises(errors.Permanent, match="narrow it"):
            client.call("ping", PING)


def test_a_stream_gives_items_then_ends() -> None:
    def serve(call: Call) -> None:
        for number in range(1000):
            call.emit({"n": number})
        call.result({"last": True})

    with joined(serve) as (client, _), client.stream("watch", objects.Watch(kind="Container")) as stream:
        assert [msgspec.json.decode(item)["n"] for item in stream] == list(range(1000))
        assert msgspec.json.decode(stream.result) == {"last": True}


def test_a_stream_may_fail_after_items() -> None:
    def serve(call: Call) -> None:
        call.emit(1)
        raise errors.Expired("too old")

    with joined(serve) as (client, _), client.stream("watch", objects.Watch(kind="Container")) as stream:
        items = iter(stream)
        assert bytes(next(items)) == b"1"
        with pytest.raises(errors.Expired, match="too old"):
            next(items)


def test_started_comes_before_items() -> None:
    gate = threading.Event()

    def serve(call: Call) -> None:
        call.started()
        gate.wait(10)
        call.emit("x")

    with joined(serve) as (client, _), client.stream("watch", objects.Watch(kind="Container")) as stream:
        while not stream.started:
            stream.wait(time.monotonic() + 10, "late")
            assert stream.receive() is None
        gate.set()
        assert [bytes(item) for item in stream] == [b'"x"']


def test_the_handler_learns_that_its_caller_left() -> None:
    present, left = threading.Event(), threading.Event()

    def serve(call: Call) -> None:
        call.started()
        if not call.closed():
            present.set()
        select.select([call], [], [], 10)
        if call.closed():
            left.set()

    with joined(serve) as (client, _):
        stream = client.stream("watch", objects.Watch(kind="Container"))
        assert present.wait(10)
        stream.close()
        assert left.wait(10)


def test_emitting_to_a_caller_who_left_ends_the_handler() -> None:
    ended: list[BaseException] = []

    def serve(call: Call) -> None:
        try:
            while True:
                call.emit("x" * 1000)
        except CallerLeft as error:
            ended.append(error)
            raise

    with joined(serve) as (client, server):
        with client.stream("watch", objects.Watch(kind="Container")) as stream:
            next(iter(stream))
        until(lambda: ended, what="the handler to end")
        until(lambda: server.busy == 0, what="its thread to be free")


def test_descriptors_reach_the_handler_and_are_closed_after_it() -> None:
    def serve(call: Call) -> None:
        for fd in call.fds:
            os.write(fd, b"log line\n")

    with joined(serve) as (client, _):
        reader, writer = os.pipe()
        client.call("logs", containers.Logs(namespace="default", name="web"), fds=[writer])
        os.close(writer)
        assert os.read(reader, 100) == b"log line\n"
        assert os.read(reader, 100) == b""
        os.close(reader)


def test_calls_beyond_the_bound_are_told_to_come_again() -> None:
    gate = threading.Event()
    with joined(lambda call: gate.wait(10) and None, max_calls=2) as (client, server):
        streams = [client.stream("ping", PING) for _ in range(2)]
        with pytest.raises(errors.Temporary, match="busy") as caught:
            client.call("post", objects.Post(document={"blob": "x" * (4 << 20)}, manager="m"))
        assert caught.value.delay > 0
        gate.set()
        for stream in streams:
            assert list(stream) == []
            stream.close()
        until(lambda: server.busy == 0, what="the calls to end")
        assert client.call("ping", PING) == {}


def test_calls_wait_until_the_server_starts() -> None:
    with joined(lambda call: call.result("ok"), start=False) as (client, server):
        got: list[object] = []
        thread = threading.Thread(target=lambda: got.append(client.call("ping", PING)))
        thread.start()
        server.start()
        thread.join(10)
        assert got == ["ok"]


def test_a_call_that_was_not_taken_in_time_never_runs() -> None:
    ran: list[str] = []
    with joined(lambda call: ran.append(call.name), start=False, accept_timeout=0.05) as (client, server):
        with pytest.raises(errors.Temporary, match="starting or overloaded"):
            client.call("post", objects.Post(document={}, manager="m"))
        server.start()
        client.call("ping", PING, accept_timeout=10)
        assert ran == ["ping"]


def test_a_call_that_takes_too_long_is_given_up() -> None:
    gone = threading.Event()

    def serve(call: Call) -> None:
        select.select([call], [], [], 10)
        gone.set()

    with joined(serve) as (client, _):
        with pytest.raises(errors.Temporary, match="in time"):
            client.call("ping", PING, timeout=0.05)
        assert gone.wait(10)


def test_many_threads_share_one_client() -> None:
    with joined(lambda call: call.result(call.args["name"]), max_calls=64) as (client, _):
        wrong: list[object] = []

        def ask(mine: int) -> None:
            for turn in range(30):
                name = f"n{mine}-{turn}"
                if client.call("get", objects.Get(kind="Image", namespace="", name=name)) != name:
                    wrong.append(name)

        threads = [threading.Thread(target=ask, args=(mine,)) for mine in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert wrong == []


def test_the_server_learns_that_the_other_process_went() -> None:
    gone = threading.Event()
    with joined(lambda call: None, on_gone=gone.set) as (client, _):
        client._control.close()
        assert gone.wait(10)


def test_closing_on_purpose_is_no_going() -> None:
    gone = threading.Event()
    with joined(lambda call: None, on_gone=gone.set) as (_, server):
        assert server.close()
    assert not gone.is_set()


def test_closing_ends_running_calls_and_callers_hear_of_it() -> None:
    def serve(call: Call) -> None:
        call.started()
        select.select([call], [], [])

    with joined(serve) as (client, server):
        stream = client.stream("watch", objects.Watch(kind="Container"))
        assert server.close()
        with stream, pytest.raises(errors.Temporary):
            list(stream)
        with pytest.raises(errors.Temporary):
            client.call("ping", PING)


@pytest.mark.parametrize(
    "frame", [b"", b"[]", b'{"job":1}', b'{"job":"get","args":[]}', b'{"job":"get","more":1}', b"[" * 100_000, b"\xff"]
)
def test_what_is_no_request_is_refused(frame: bytes) -> None:
    ran: list[str] = []
    with joined(lambda call: ran.append(call.name)) as (client, _):
        channel = frames.Channel(client._open())
        channel.send(frame, len(frame))
        reply = channel.receive(1 << 20)
        assert reply is not None
        error = wire.decode_reply(reply).error
        assert isinstance(error, wire.Failure)
        assert error.type == "Invalid"
        channel.close()
        assert client.call("ping", PING) == {}
    assert ran == ["ping"]


def test_an_oversized_request_is_dropped_without_being_read() -> None:
    with joined(lambda call: None) as (client, _):
        sock = client._open()
        sock.settimeout(10)
        sock.sendall((frames.REQUEST_LIMIT + 1).to_bytes(4, "big"))
        assert sock.recv(10) == b""
        sock.close()


def test_strange_things_on_the_control_socket_are_dropped() -> None:
    with joined(lambda call: None) as (client, _):
        control, null = client._control, os.open("/dev/null", os.O_RDONLY)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        control.sendmsg([frames.JOB], frames.rights([udp.fileno()]))
        control.sendmsg([frames.JOB], frames.rights([null]))
        control.sendmsg([b"x" * 5000], [])
        control.sendmsg([frames.JOB], frames.rights([null, null, null]))
        assert client.call("ping", PING) == {}
        udp.close()
        os.close(null)
