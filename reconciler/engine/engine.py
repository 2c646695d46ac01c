"""The Engine: runs jobs by name from one explicit table."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler import errors, ipc, planner
from reconciler.engine.job import Job
from reconciler.engine.locks import KeyedLocks
from reconciler.model import signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.engine.parts import Parts
    from reconciler.store.base import Session

log = logging.getLogger("pydock.engine")


@dataclass(frozen=True)
class Handler:
    """``journal``: the job is a reconcile step, written to the journal. ``ordered``: jobs of the same object run one
    after another. ``doing`` and ``did`` name the events that tell people of its begin and its good end."""

    run: Callable[[Parts, Job], Any]
    journal: bool = False
    ordered: bool = False
    doing: str = ""
    did: str = ""


class Engine:
    """Runs jobs: looks the handler up, keeps order per object, logs start and status, keeps the journal.

    The journal is a record and a claim, never the source of intent.
    """

    def __init__(self, parts: Parts, table: Mapping[str, Handler]) -> None:
        self.id = secrets.token_hex(8)
        self.parts = parts
        self._table = dict(table)
        self._order = KeyedLocks()
        self._state = threading.Condition()
        self._running: set[int] = set()
        self._closed = False
        self._stopping = threading.Event()

    def commands(self) -> list[str]:
        """The names of all handlers."""
        return sorted(self._table)

    def run(self, job: Job) -> Any:
        """Runs the job in the caller's thread and returns its result; raises what the handler raised.

        An unknown name raises ``NotFound``; after ``shutdown`` has begun every job raises ``Temporary``.
        """
        handler = self._table.get(job.name, _UNKNOWN)
        job.stopping = self._stopping
        with self._admitted(job):
            if handler.ordered:
                with self._order.hold(job.uid):
                    return self._run(handler, job)
            return self._run(handler, job)

    @property
    def closed(self) -> bool:
        """Whether new jobs are refused: the daemon is about to end."""
        return self._closed

    def close(self) -> None:
        """Refuses new jobs, and asks those that take long to give up."""
        with self._state:
            self._closed = True
            self._stopping.set()

    def shutdown(self, deadline: float) -> bool:
        """Refuses new jobs and waits until ``deadline`` (CLOCK_MONOTONIC seconds) for the running ones; whether all
        ended."""
        self.close()
        with self._state:
            return self._state.wait_for(lambda: not self._running, max(0.0, deadline - time.monotonic()))

    @contextmanager
    def _admitted(self, job: Job) -> Iterator[None]:
        with self._state:
            if self._closed:
                raise errors.Temporary("pydockd is shutting down", delay=2.0)
            self._running.add(id(job))
        try:
            yield
        finally:
            with self._state:
                self._running.discard(id(job))
                self._state.notify_all()

    def _run(self, handler: Handler, job: Job) -> Any:
        began = time.monotonic()
        log.debug("+job %s", job)
        row = job.number = self._begin(handler, job) if handler.journal else 0
        job.status = "running"
        try:
            self._check(job)
            job.result = handler.run(self.parts, job)
            job.status = "done"
            return job.result
        except ipc.CallerLeft:
            job.status, job.error = "interrupted", "the caller left"
            raise
        except errors.PydockError as error:
            job.status, job.error = "failed", error.message
            raise
        except BaseException as error:
            job.status, job.error = "failed", f"internal error: {error!r}"
            raise
        finally:
            if row:
                self._end(handler, row, job)
            level = logging.INFO if handler.journal else logging.DEBUG
            tail = f": {job.error}" if job.error else ""
            log.log(level, "job %s %s in %.0f ms%s", job, job.status, (time.monotonic() - began) * 1000, tail)

    def _check(self, job: Job) -> None:
        """The world may have moved on since the plan was made: then the step is not taken."""
        if job.step is None:
            return
        with self.parts.store.snapshot() as session:
            entry = next((each for each in session.entries([job.step.key]) if each.desired.uid == job.uid), None)
        planner.check(job.step, entry)

    def _begin(self, handler: Handler, job: Job) -> int:
        with self.parts.store.transaction(durable=False) as session:
            _tell(session, job, handler.doing)
            return session.journal.begin(
                job.name, str(job.key or ""), job.uid, job.cause, job.attempt, time.time(), str(job.caller or "")
            )

    def _end(self, handler: Handler, row: int, job: Job) -> None:
        output = "" if job.result is None else str(job.result)
        status = job.status if job.status in ("failed", "interrupted") else "done"
        with self.parts.store.transaction(durable=False) as session:
            session.journal.end(row, status, time.time(), job.error, output)
            if status == "done":
                _tell(session, job, handler.did)


def _tell(session: Session, job: Job, reason: str) -> None:
    """The event ``reason`` about the job's object, with its cause; repeats of the same are counted."""
    if reason and job.key is not None:
        session.events.record(str(job.key), job.uid, "Normal", reason, _told(job), time.time())


def _told(job: Job) -> str:
    if job.name == "pull":
        return f"image {job.args['reference']} pulled" if job.result else f"pulling image {job.args['reference']}"
    if job.name == "stop":
        name = signals.name(int(job.args["signal"]))
        return f"{job.cause}: {name}, then SIGKILL after {job.args['grace']:g} s"
    return job.cause


def _unknown(parts: Parts, job: Job) -> Any:
    raise errors.NotFound(f"no such job: {job.name!r} (the job `commands` lists them)")


_UNKNOWN = Handler(_unknown)
