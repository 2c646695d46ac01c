"""A Job: a name, arguments, who asked, streams, and how it ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from reconciler.model.callers import Caller
from reconciler.model.keys import Key
from reconciler.model.tasks import Task


def _discard(item: Any) -> None:
    """Nobody listens to this job's items."""


def _never() -> bool:
    return False


def _nothing() -> None:
    pass


@dataclass
class Job:
    """One piece of work for the Engine, in the manner of Docker's: whoever makes it fills in name, args and streams and
    hands it to ``Engine.run``; the handler reads them, and returns a result or raises one of ``errors``.

    ``fds`` are descriptors the handler may read or write (it does not close them). ``emit`` takes the items of a
    streaming job, which calls ``started`` when nothing can go wrong any more that the caller should hear as an error.
    ``gone()`` tells that whoever asked has left; ``gone_fd`` is a descriptor that becomes readable then (-1: there is
    none). ``caller`` is who asked through the API (None: pydockd itself, or nobody can tell). ``key``, ``uid``,
    ``cause``, ``attempt`` and ``caller`` go to the journal, where ``number`` is the job's (0: it is not in it).
    ``task`` is a step's, and ``claim`` what was claimed for it. ``args`` may hold a login: no text of a job shows what
    is inside of them."""

    name: str
    args: dict[str, Any] = field(default_factory=dict, repr=False)
    key: Key | None = None
    uid: str = ""
    cause: str = ""
    attempt: int = 1
    task: Task | None = None
    claim: Any = field(default=None, repr=False)
    number: int = 0
    fds: tuple[int, ...] = ()
    emit: Callable[[Any], None] = _discard
    started: Callable[[], None] = _nothing
    gone: Callable[[], bool] = _never
    gone_fd: int = -1
    caller: Caller | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    status: Literal["new", "running", "done", "failed", "interrupted"] = "new"
    error: str = ""
    result: Any = None

    def __str__(self) -> str:
        subject = (
            str(self.key)
            if self.key
            else ", ".join(f"{name}={_short(value)}" for name, value in self.args.items() if value)
        )
        return f"{self.name}({subject})"


def _short(value: Any) -> str:
    text = value.get("kind", "…") if isinstance(value, dict) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
