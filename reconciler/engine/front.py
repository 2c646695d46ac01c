"""The Engine's front: what comes over the engine socket is checked again and becomes a Job.

The process that parses network input is not trusted: only the jobs of the allow list, only arguments of their types.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from reconciler import errors
from reconciler.engine.engine import Engine
from reconciler.engine.job import Job
from reconciler.model import requests


class Caller(Protocol):
    """One call as the engine socket hands it over (``reconciler.ipc.Call``)."""

    name: str
    args: Any
    fds: tuple[int, ...]

    def fileno(self) -> int: ...

    def closed(self) -> bool: ...

    def started(self) -> None: ...

    def emit(self, item: Any) -> None: ...

    def result(self, value: Any) -> None: ...


class Front:
    """``serve`` runs one call to its answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def serve(self, call: Caller) -> None:
        """Raises what the job raised; the socket's server tells the caller."""
        args = admit(call.name, call.args)
        job = Job(
            call.name,
            args=args,
            fds=call.fds,
            emit=call.emit,
            started=call.started,
            gone=call.closed,
            gone_fd=call.fileno(),
        )
        call.result(self._engine.run(job))


def admit(name: str, args: Any) -> dict[str, Any]:
    """The arguments if the API may ask for that job with them.

    Raises ``Forbidden`` for a job that is not on the allow list, ``Invalid`` for arguments of another type.
    """
    wanted = requests.JOBS.get(name)
    if wanted is None:
        raise errors.Forbidden(f"the API may not ask for the job {name!r}")
    try:
        request = msgspec.convert(args, wanted)
    except msgspec.ValidationError as error:
        raise errors.Invalid(f"job {name}: {error}") from None
    made = msgspec.to_builtins(request)
    assert isinstance(made, dict)
    return made
