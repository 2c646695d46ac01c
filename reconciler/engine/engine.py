"""The Engine: runs jobs by name from one explicit table."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from reconciler import errors, ipc, planner
from reconciler.engine.job import Job
from reconciler.kinds import table
from reconciler.locks import KeyedLocks
from reconciler.model.objects import NEW
from reconciler.model.view import Entry
from reconciler.repeated import repeated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.engine.effects import StepHandler
    from reconciler.engine.parts import Parts
    from reconciler.model.plan import Step
    from reconciler.store.base import Session

log = logging.getLogger("pydock.engine")


@dataclass(frozen=True)
class Handler:
    """What runs a job that somebody asked for; ``journal``: it is written to the journal."""

    run: Callable[[Parts, Job], Any]
    journal: bool = False


class Engine:
    """Runs jobs: looks up the handler, keeps the order per object, logs start and status, writes the journal.

    The journal records what was done and is being done. It never says what is wanted.
    """

    def __init__(
        self, parts: Parts, table: Mapping[str, Handler], steps: Mapping[str, StepHandler] | None = None
    ) -> None:
        """``table`` holds the jobs that may be asked for, ``steps`` those that carry out plans."""
        self.id = secrets.token_hex(8)
        self.parts = parts
        self._table, self._steps = dict(table), dict(steps or {})
        self._order = KeyedLocks()
        self._state = threading.Condition()
        self._running: set[int] = set()
        self._closed = False
        self._stopping = threading.Event()

    def commands(self) -> list[str]:
        """The names of all handlers."""
        return sorted({**self._table, **self._steps})

    def run(self, job: Job) -> Any:
        """Runs the job in the caller's thread and returns its result; raises what the handler raised.

        An unknown name raises ``NotFound``; after ``shutdown`` has begun every job raises ``Temporary``.
        """
        job.stopping = self._stopping
        with self._admitted(job):
            handler = self._table.get(job.name, _UNKNOWN)
            return self._carried(job, handler.journal, lambda: handler.run(self.parts, job))

    def take(self, step: Step, attempt: int = 1) -> Any:
        """Claims a step of a plan and carries it out.

        Raises ``Outdated``, with nothing done, if what the step was planned from has changed since.
        """
        handler = self._steps[step.action]
        job = Job(step.action, key=step.key, uid=step.uid, cause=step.cause, attempt=attempt, task=step.task)
        job.stopping = self._stopping
        with self._admitted(job), self._order.hold(step.uid) if handler.ordered else nullcontext():
            job.claim = self._claim(handler, job, step)
            return self._carried(job, True, lambda: handler.carry_out(self.parts, job, job.claim), handler)

    def _claim(self, handler: StepHandler, job: Job, step: Step) -> Any:
        """In one transaction: checks that the plan still holds, notes the step's begin in the journal, and lets it make
        its first write."""
        with self.parts.store.transaction(durable=False) as session:
            entry = _present(session, step)
            planner.check(step, entry)
            _tell(session, job, handler.doing, handler)
            job.number = self._journal(session, job)
            return handler.claim(self.parts, session, step, _marked(session, step, entry))

    @property
    def closed(self) -> bool:
        """Whether new jobs are refused: the daemon is about to end."""
        return self._closed

    def close(self) -> None:
        """Refuses new jobs, and asks long ones to give up."""
        with self._state:
            self._closed = True
            self._stopping.set()

    def shutdown(self, deadline: float) -> bool:
        """Refuses new jobs and waits until ``deadline`` (CLOCK_MONOTONIC seconds) for the running ones. Returns whether
        all ended."""
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

    def _carried(self, job: Job, journal: bool, work: Callable[[], Any], handler: StepHandler | None = None) -> Any:
        """Runs ``work`` as the job: its status, its journal row, a line in the log."""
        began = time.monotonic()
        log.debug("+job %s", job)
        if journal and handler is None:
            with self.parts.store.transaction(durable=False) as session:
                job.number = self._journal(session, job)
        job.status = "running"
        try:
            job.result = work()
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
            if job.number:
                self._ended(job, handler)
            level = logging.INFO if journal else logging.DEBUG
            tail = f": {job.error}" if job.error else ""
            log.log(level, "job %s %s in %.0f ms%s", job, job.status, (time.monotonic() - began) * 1000, tail)

    def _journal(self, session: Session, job: Job) -> int:
        return session.journal.begin(
            job.name, str(job.key or ""), job.uid, job.cause, job.attempt, time.time(), str(job.caller or "")
        )

    def _ended(self, job: Job, handler: StepHandler | None) -> None:
        """What was done is done, even if there is no room to write so."""
        try:
            self._end(job, handler)
        except errors.Temporary as error:
            repeated.warn(log, f"the journal lacks how jobs ended: {error.message}")

    def _end(self, job: Job, handler: StepHandler | None) -> None:
        output = "" if job.result is None else str(job.result)
        status = job.status if job.status in ("failed", "interrupted") else "done"
        with self.parts.store.transaction(durable=False) as session:
            session.journal.end(job.number, status, time.time(), job.error, output)
            if status == "done" and handler is not None:
                _tell(session, job, handler.did, handler)


def _present(session: Session, step: Step) -> Entry | None:
    """The step's object as it is now; for a step that makes the object, the live one of its name."""
    found = session.entries([step.key])
    if step.uid.startswith(NEW):
        return next((each for each in found if each.desired.deleting_at is None), None)
    return next((each for each in found if each.desired.uid == step.uid), None)


def _marked(session: Session, step: Step, entry: Entry | None) -> Entry:
    """The entry that is claimed. Once the first step of a removal has begun, the removal cannot be taken back."""
    if entry is None or step.desired.deleting_at is None:
        return entry or Entry(step.desired, None)
    observed = msgspec.structs.replace(table.observed_of(entry), torn=True)
    session.observed.put(step.uid, observed)
    return Entry(entry.desired, observed)


def _tell(session: Session, job: Job, reason: str, handler: StepHandler) -> None:
    """Records the event ``reason`` about the job's object, with its cause. Repeats are counted."""
    if reason and job.key is not None:
        message = handler.told(job) if handler.told is not None else job.cause
        session.events.record(str(job.key), job.uid, "Normal", reason, message, time.time())


def _unknown(parts: Parts, job: Job) -> Any:
    raise errors.NotFound(f"no such job: {job.name!r} (the job `commands` lists them)")


_UNKNOWN = Handler(_unknown)
