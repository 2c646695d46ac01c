"""What systemd is asked for: the messages byte for byte, and a bus that answers."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jeepney
import pytest
from jeepney.low_level import Parser

from reconciler.drivers.exec import base, systemd
from reconciler.errors import Temporary

SCOPE = systemd.scope_message("pydock-conmon-x1.scope", "pydock-main.slice", 4711, "words")
INFINITY = 18446744073709551615


def test_conmon_gets_a_scope_of_its_own() -> None:
    fields = SCOPE.header.fields
    assert fields[jeepney.HeaderFields.destination] == "org.freedesktop.systemd1"
    assert fields[jeepney.HeaderFields.path] == "/org/freedesktop/systemd1"
    assert fields[jeepney.HeaderFields.interface] == "org.freedesktop.systemd1.Manager"
    assert fields[jeepney.HeaderFields.member] == "StartTransientUnit"
    assert fields[jeepney.HeaderFields.signature] == "ssa(sv)a(sa(sv))"
    assert SCOPE.body == (
        "pydock-conmon-x1.scope",
        "replace",
        [
            ("Description", ("s", "words")),
            ("Slice", ("s", "pydock-main.slice")),
            ("PIDs", ("au", [4711])),
            ("DefaultDependencies", ("b", False)),
            ("CollectMode", ("s", "inactive-or-failed")),
        ],
        [],
    )


def test_the_message_on_the_wire() -> None:
    golden = (Path(__file__).parent / "golden" / "conmon-scope.hex").read_text()
    assert SCOPE.serialise(serial=7).hex() == golden.strip()
    parser = Parser()
    parser.add_data(bytes.fromhex(golden))
    assert parser.get_next_message().body == SCOPE.body


def test_the_number_of_tasks_alone() -> None:
    message = systemd.tasks_message("pydock-x1.scope", 5)
    assert message.header.fields[jeepney.HeaderFields.member] == "SetUnitProperties"
    assert message.body == ("pydock-x1.scope", True, [("TasksMax", ("t", 5))])
    assert message.serialise(serial=1)


def test_a_slice_is_stopped() -> None:
    message = systemd.stop_message("pydock-main.slice")
    assert message.header.fields[jeepney.HeaderFields.member] == "StopUnit"
    assert message.header.fields[jeepney.HeaderFields.signature] == "ss"
    assert message.body == ("pydock-main.slice", "replace")


@pytest.mark.parametrize(
    ("limits", "values"),
    [
        (base.Limits(cpu_millis=1500, memory=64 << 20, pids=9), (1500000, 67108864, 0, 9)),
        (base.Limits(), (INFINITY, INFINITY, INFINITY, INFINITY)),
    ],
)
def test_changed_limits(limits: base.Limits, values: tuple[int, ...]) -> None:
    message = systemd.limits_message("pydock-x1.scope", limits)
    names = ("CPUQuotaPerSecUSec", "MemoryMax", "MemorySwapMax", "TasksMax")
    properties = [(name, ("t", value)) for name, value in zip(names, values, strict=True)]
    assert message.body == ("pydock-x1.scope", True, properties)
    assert message.header.fields[jeepney.HeaderFields.signature] == "sba(sv)"
    assert len(message.serialise(serial=1)) > 0


class Bus:
    """A system bus with one client at a time: greets, takes calls, answers as told."""

    def __init__(self, path: Path) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.error = ""
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._client: socket.socket | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing = True
        for end in (self._client, self._server):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        while not self._closing:
            try:
                self._client = self._server.accept()[0]
            except OSError:
                return
            with self._client:
                self._talk(self._client, self._greet(self._client))
            self._client = None

    def _greet(self, client: socket.socket) -> bytes:
        """What came after the greeting with it."""
        data = b""
        while b"AUTH" not in data:
            data += client.recv(4096)
        client.sendall(b"OK 1234deadbeef\r\n")
        while b"BEGIN\r\n" not in data:
            data += client.recv(4096)
        return data.split(b"BEGIN\r\n", 1)[1]

    def _talk(self, client: socket.socket, data: bytes) -> None:
        parser = Parser()
        while True:
            parser.add_data(data)
            while (message := parser.get_next_message()) is not None:
                client.sendall(self._answer(message).serialise(serial=message.header.serial + 100))
            data = client.recv(4096)
            if not data:
                return

    def _answer(self, message: jeepney.Message) -> jeepney.Message:
        member = message.header.fields[jeepney.HeaderFields.member]
        if member == "Hello":
            return jeepney.new_method_return(message, "s", (":1.1",))
        self.calls.append((member, message.body))
        if self.error:
            return jeepney.new_error(message, "org.freedesktop.systemd1.NoSuchUnit", "s", (self.error,))
        if member == "StartTransientUnit":
            return jeepney.new_method_return(message, "o", ("/org/freedesktop/systemd1/job/1",))
        return jeepney.new_method_return(message)


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    found = Bus(tmp_path / "bus")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/bus")
    yield found
    found.close()


def test_a_process_is_put_into_a_scope(bus: Bus) -> None:
    # a pid that cannot exist is in no group any more: there is nothing to wait for
    systemd.put_into_scope("pydock-conmon-x1.scope", "pydock-main.slice", 1 << 23, "pydock-conmon-x1.scope")
    [(member, body)] = bus.calls
    assert member == "StartTransientUnit"
    assert body[0] == "pydock-conmon-x1.scope"
    assert ("PIDs", ("au", [1 << 23])) in body[2]


def test_a_move_that_never_happens_is_not_believed(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "_MOVE_TIMEOUT", 0.01)
    with pytest.raises(Temporary, match="has not moved process"):
        systemd.put_into_scope("pydock-conmon-x1.scope", "pydock-main.slice", os.getpid(), "pydock-conmon-x1.scope")
    assert bus.calls


def test_limits_are_told(bus: Bus) -> None:
    systemd.set_limits("pydock-x1.scope", base.Limits(pids=5))
    assert bus.calls == [("SetUnitProperties", systemd.limits_message("pydock-x1.scope", base.Limits(pids=5)).body)]


def test_systemd_s_own_words(bus: Bus) -> None:
    bus.error = "Unit pydock-x1.scope not loaded."
    with pytest.raises(Temporary, match=r"systemd refused: Unit pydock-x1\.scope not loaded\."):
        systemd.set_limits("pydock-x1.scope", base.Limits())


def test_no_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    with pytest.raises(Temporary, match="cannot be asked over the system bus"):
        systemd.set_limits("pydock-x1.scope", base.Limits())
