"""The Engine's front: what comes over the engine socket is checked again and becomes a Job.

The process that parses network input is not trusted: only what is declared may be asked, only with arguments of its
type."""

from __future__ import annotations

import logging
from typing import Any, Protocol

import msgspec

from reconciler import errors
from reconciler.engine.engine import Engine
from reconciler.engine.job import Job
from reconciler.model.callers import Caller
from reconciler.requests import table
from reconciler.requests.declaration import Ask, Request

audit = logging.getLogger("pydock.audit")


class Call(Protocol):
    """One call as the engine socket hands it over (``reconciler.ipc.Call``)."""

    name: str
    args: Any
    fds: tuple[int, ...]
    caller: Caller | None

    def fileno(self) -> int: ...

    def closed(self) -> bool: ...

    def started(self) -> None: ...

    def emit(self, item: Any) -> None: ...

    def result(self, value: Any) -> None: ...


class Front:
    """``serve`` runs one call to its answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def serve(self, call: Call) -> None:
        """Raises what the job raised; the socket's server tells the caller."""
        ask, request = admit(call.name, call.args)
        job = Job(
            call.name,
            args=_arguments(request),
            fds=call.fds,
            emit=call.emit,
            started=call.started,
            gone=call.closed,
            gone_fd=call.fileno(),
            caller=call.caller,
        )
        try:
            answer = self._engine.run(job)
        finally:
            if ask.access.writes:
                _note(ask, job, request)
        call.result(answer)


def _note(ask: Ask, job: Job, request: Request) -> None:
    """One line about each request that changes something: who asked for what, and how it ended."""
    who = job.caller or "somebody unknown"
    tail = f": {job.error}" if job.error else ""
    audit.info("%s %s%s by %s: %s%s", ask.access.verb, ask.name, _subject(request), who, job.status, tail)


def _subject(request: Request) -> str:
    """What a request is about, for people; nothing of what may be secret."""
    document = getattr(request, "document", None)
    if isinstance(document, dict):
        metadata = document.get("metadata")
        named = metadata if isinstance(metadata, dict) else {}
        parts = [document.get("kind"), named.get("namespace"), named.get("name")]
    else:
        given = ("kind", "namespace", "name", "action", "reference", "source", "target", "scope")
        parts = [getattr(request, name, "") for name in given]
    shown = "/".join(str(part) for part in parts if part)
    return f" {shown}" if shown else ""


def admit(name: str, args: Any) -> tuple[Ask, Request]:
    """The declaration of a job, and its request, if the API may ask for it so.

    Raises ``Forbidden`` for a job that is not declared, ``Invalid`` for arguments of another type.
    """
    ask = table.ASKS.get(name)
    if ask is None:
        raise errors.Forbidden(f"the API may not ask for the job {name!r}")
    try:
        return ask, msgspec.convert(args, ask.request)
    except msgspec.ValidationError as error:
        raise errors.Invalid(f"job {name}: {error}") from None


def _arguments(request: Request) -> dict[str, Any]:
    made = msgspec.to_builtins(request)
    assert isinstance(made, dict)
    return made
