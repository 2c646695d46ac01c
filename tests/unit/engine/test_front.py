"""What the API process may ask for is a list, and its arguments are checked again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reconciler import errors
from reconciler.engine import front
from reconciler.engine import table as steps
from reconciler.engine.engine import Engine, Handler
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.ipc import EngineClient, EngineServer
from reconciler.jobs import table as jobs
from reconciler.model.callers import Caller
from reconciler.requests import declaration, service, table
from reconciler.testing.loop import Loop

TABLE = jobs.handlers()
STEPS = sorted(steps.steps())

CALLER = Caller(1000, 1001, 4321)


class Call:
    """A call as the engine socket hands it over."""

    def __init__(self, name: str, args: Any) -> None:
        self.name, self.args, self.fds = name, args, ()
        self.caller = CALLER
        self.answers: list[Any] = []

    def fileno(self) -> int:
        return -1

    def closed(self) -> bool:
        return False

    def started(self) -> None:
        pass

    def emit(self, item: Any) -> None:
        self.answers.append(item)

    def result(self, value: Any) -> None:
        self.answers.append(value)


def test_every_job_of_the_list_has_a_handler_and_no_step_is_on_it() -> None:
    assert set(table.ASKS) == set(TABLE)
    assert not set(STEPS) & set(TABLE)
    assert {"create", "start", "stop", "remove", "update", "repair", "pull", "untag"} <= set(STEPS)


@pytest.mark.parametrize("name", [*STEPS, "", "commands ", "__init__", "no-such-job"])
def test_what_is_not_on_the_list_is_forbidden(name: str) -> None:
    with pytest.raises(errors.Forbidden, match="the API may not ask for the job"):
        front.admit(name, {})


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("get", {"kind": "Container", "namespace": "default"}),
        ("get", {"kind": 7, "namespace": "default", "name": "x"}),
        ("get", {"kind": "Container", "namespace": "default", "name": "x", "surplus": 1}),
        ("list", ["Container"]),
        ("watch", {"kind": "Container", "revision": "1"}),
        ("override", {"namespace": "default", "name": "x", "action": "destroy"}),
        ("ping", None),
    ],
)
def test_arguments_of_another_type_are_refused(name: str, args: Any) -> None:
    with pytest.raises(errors.Invalid, match=f"job {name}"):
        front.admit(name, args)


def test_defaults_are_filled_in_and_the_job_gets_them() -> None:
    asked: list[Job] = []

    def note(parts: Parts, job: Job) -> str:
        asked.append(job)
        return "here"

    engine = Engine(cast(Parts, SimpleNamespace(store=None)), {"list": Handler(note)})
    caller = Call("list", {"kind": "Container"})
    front.Front(engine).serve(caller)
    assert caller.answers == ["here"]
    assert asked[0].args == {
        "kind": "Container", "namespace": "", "label_selector": "", "field_selector": "", "limit": 0, "continue_": ""
    }  # fmt: skip
    assert asked[0].caller == CALLER
    assert asked[0].task is None


@pytest.fixture
def client() -> Iterator[EngineClient]:
    """The API's end of an engine socket whose other end runs the real table."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parts = cast(Parts, SimpleNamespace(store=None, commands=lambda: sorted(TABLE)))
    server = EngineServer(ours, front.Front(Engine(parts, TABLE)).serve)
    server.start()
    with theirs:
        yield EngineClient(theirs)
        server.close(1.0)


class Start(declaration.Request, frozen=True):
    counts: bool = False


def test_over_the_engine_socket_a_start_is_forbidden(client: EngineClient) -> None:
    with pytest.raises(errors.Forbidden, match="'start'"):
        client.call("start", Start())
    assert client.call("commands", service.Commands()) == {"commands": sorted(TABLE)}


def test_what_changes_something_is_noted_with_who_asked(caplog: pytest.LogCaptureFixture) -> None:
    def fail(parts: Parts, job: Job) -> str:
        raise errors.Conflict("it is owned by somebody else")

    engine = Engine(cast(Parts, SimpleNamespace(store=None)), {"apply": Handler(fail), "get": Handler(fail)})
    document = {"kind": "Container", "metadata": {"namespace": "default", "name": "web"}, "spec": {"env": "secret"}}
    caplog.set_level("INFO", "pydock.audit")
    for call in (
        Call("apply", {"document": document, "manager": "me"}),
        Call("get", {"kind": "Container", "namespace": "default", "name": "web"}),
    ):
        with pytest.raises(errors.Conflict):
            front.Front(engine).serve(call)
    (line,) = [each.getMessage() for each in caplog.records if each.name == "pydock.audit"]
    assert line == (
        "patch apply Container/default/web by uid 1000 gid 1001 pid 4321: failed: it is owned by somebody else"
    )


def test_the_journal_keeps_who_asked(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    try:
        front.Front(loop.engine).serve(Call("collect", {}))
        loop.ask("collect")
        asked = [(job["name"], job["caller"]) for job in loop.ask("jobs")["items"]]
        assert asked == [("collect", ""), ("collect", "uid 1000 gid 1001 pid 4321")]
    finally:
        loop.close()
