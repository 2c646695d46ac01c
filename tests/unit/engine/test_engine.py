"""The Engine: the table, the journal, order per object, preconditions, the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import msgspec
import pytest

from reconciler import errors, ipc
from reconciler.engine.effects import StepHandler
from reconciler.engine.engine import Engine, Handler
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model.jobs import JobRecord
from reconciler.model.objects import Override
from reconciler.model.plan import Step
from reconciler.model.tasks import Task
from reconciler.model.view import Entry
from reconciler.store.base import Session, Store
from reconciler.testing import wait
from reconciler.testing.store import memory_store
from reconciler.testing.store_samples import create, key, running

Run = Callable[[Parts, Job], Any]
Claim = Callable[[Parts, Session, Step, Entry], Any]


@pytest.fixture
def store() -> Iterator[Store]:
    made = memory_store()
    yield made
    made.close()


@pytest.fixture
def make(store: Store) -> Callable[..., Engine]:
    """An engine with the one handler ``work``."""

    def engine(run: Run, **how: bool) -> Engine:
        return Engine(cast(Parts, SimpleNamespace(store=store)), {"work": Handler(run, **how)})

    return engine


class Work(Task, frozen=True):
    action: ClassVar[str] = "work"


@pytest.fixture
def taking(store: Store) -> Callable[..., Engine]:
    """An engine that carries out steps of the one action ``work``."""

    def engine(run: Run, claim: Claim = lambda parts, session, step, entry: None) -> Engine:
        handler = StepHandler(claim, lambda parts, job, claimed: run(parts, job))
        return Engine(cast(Parts, SimpleNamespace(store=store)), {}, {"work": handler})

    return engine


def steps_of(store: Store, *names: str) -> list[Step]:
    """A step for each of some new containers."""
    with store.transaction() as session:
        made = [create(session, name) for name in names]
    return [Step(id=f"work {desired.key}", task=Work(), desired=desired, cause="c") for desired in made]


def journal(store: Store) -> list[JobRecord]:
    with store.snapshot() as session:
        return session.journal.find()


class Gate:
    """A handler that waits to be let go."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.inside = self.most = 0
        self.seen: list[str] = []
        self._guard = threading.Lock()

    def run(self, parts: Parts, job: Job) -> str:
        with self._guard:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.seen.append(job.uid)
        self.entered.release()
        self.open.wait(10)
        with self._guard:
            self.inside -= 1
        return job.uid


def in_background(*calls: Callable[[], Any]) -> list[threading.Thread]:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    return threads


def test_a_job_gives_its_result_and_its_status(make: Callable[..., Engine], store: Store) -> None:
    job = Job("work", args={"n": 2})
    assert make(lambda parts, job: job.args["n"] + 1).run(job) == 3
    assert (job.status, job.result, job.error) == ("done", 3, "")
    assert journal(store) == []


def test_what_is_journalled_says_what_why_and_how_it_ended(make: Callable[..., Engine], store: Store) -> None:
    engine = make(lambda parts, job: "made", journal=True)
    engine.run(Job("work", key=key("web"), uid="u1", cause="it was missing", attempt=3))
    (row,) = journal(store)
    assert (row.name, row.uid, row.cause, row.attempt) == ("work", "u1", "it was missing", 3)
    assert (row.status, row.error, row.output) == ("done", "", "made")
    assert row.ended_at is not None
    assert row.ended_at >= row.started_at


@pytest.mark.parametrize(
    ("raised", "status", "words"),
    [
        (errors.Permanent("no such thing"), "failed", "no such thing"),
        (errors.Temporary("try later", delay=1.0), "failed", "try later"),
        (ValueError("a bug"), "failed", "internal error: ValueError('a bug')"),
        (ipc.CallerLeft(), "interrupted", "the caller left"),
        (KeyboardInterrupt(), "failed", "internal error"),
    ],
)
def test_a_failure_is_raised_and_journalled(
    make: Callable[..., Engine], store: Store, raised: BaseException, status: str, words: str
) -> None:
    def fail(parts: Parts, job: Job) -> None:
        raise raised

    job = Job("work")
    with pytest.raises(type(raised)):
        make(fail, journal=True).run(job)
    (row,) = journal(store)
    assert row.status == job.status == status
    assert words in row.error
    assert row.error == job.error


def test_a_running_job_stands_in_the_journal(make: Callable[..., Engine], store: Store) -> None:
    gate = Gate()
    (thread,) = in_background(lambda: make(gate.run, journal=True).run(Job("work")))
    gate.entered.acquire(timeout=5)
    assert [row.status for row in journal(store)] == ["running"]
    gate.open.set()
    thread.join(5)
    assert [row.status for row in journal(store)] == ["done"]


def test_an_unknown_name_fails_clearly(make: Callable[..., Engine]) -> None:
    engine = make(lambda parts, job: None)
    with pytest.raises(errors.NotFound, match=r"no such job: 'wrok'.*commands"):
        engine.run(Job("wrok"))
    assert engine.commands() == ["work"]


def test_engines_have_ids_of_their_own(make: Callable[..., Engine]) -> None:
    assert make(lambda *_: None).id != make(lambda *_: None).id


def test_jobs_of_one_object_run_one_after_another_and_others_beside(
    taking: Callable[..., Engine], store: Store
) -> None:
    gate = Gate()
    engine = taking(gate.run)
    a, b, c = steps_of(store, "a", "b", "c")
    threads = in_background(*(lambda step=step: engine.take(step) for step in [a, a, a, b, c]))
    for _ in range(3):
        assert gate.entered.acquire(timeout=5)
    assert sorted(gate.seen) == sorted([a.uid, b.uid, c.uid])
    gate.open.set()
    for thread in threads:
        thread.join(5)
    assert sorted(gate.seen) == sorted([a.uid] * 3 + [b.uid, c.uid])
    assert gate.most == 3


def test_one_that_fails_does_not_hold_up_the_next_of_its_object(taking: Callable[..., Engine], store: Store) -> None:
    def fail(parts: Parts, job: Job) -> None:
        raise errors.Permanent("no")

    engine = taking(fail)
    (step,) = steps_of(store, "a")
    for _ in range(3):
        with pytest.raises(errors.Permanent):
            engine.take(step)
    assert not engine._order._held


def test_order_holds_under_stress(taking: Callable[..., Engine], store: Store) -> None:
    inside: dict[str, int] = {}
    ran: list[str] = []

    def work(parts: Parts, job: Job) -> None:
        inside[job.uid] = inside.get(job.uid, 0) + 1
        assert inside[job.uid] == 1
        ran.append(job.uid)
        time.sleep(0)
        inside[job.uid] -= 1

    engine = taking(work)
    steps = steps_of(store, "a", "b", "c")

    def many() -> None:
        for number in range(60):
            engine.take(steps[number % 3])

    for thread in in_background(*[many] * 8):
        thread.join(30)
    assert len(ran) == 480
    assert not engine._order._held


def test_shutdown_refuses_new_jobs_and_waits_for_the_running(make: Callable[..., Engine]) -> None:
    gate = Gate()
    engine = make(gate.run)
    (thread,) = in_background(lambda: engine.run(Job("work")))
    gate.entered.acquire(timeout=5)
    assert engine.shutdown(time.monotonic() + 0.05) is False
    with pytest.raises(errors.Temporary, match="shutting down"):
        engine.run(Job("work"))
    gate.open.set()
    assert engine.shutdown(time.monotonic() + 5) is True
    thread.join(5)


def test_shutdown_tells_running_jobs(make: Callable[..., Engine]) -> None:
    told = threading.Event()

    def work(parts: Parts, job: Job) -> None:
        if job.stopping.wait(10):
            told.set()

    engine = make(work)
    (thread,) = in_background(lambda: engine.run(Job("work")))
    wait.until(lambda: engine._running, 5.0, "the job")
    assert engine.shutdown(time.monotonic() + 5) is True
    assert told.is_set()
    thread.join(5)


@pytest.fixture
def step(store: Store) -> Step:
    """A step that relies on the incarnation and on nothing running."""
    with store.transaction() as session:
        desired = create(session)
        observed = msgspec.structs.replace(running(desired.uid), process="exited")
        session.observed.put(desired.uid, observed)
    return Step(
        id="work container/default/web", task=Work(), desired=desired, cause="c",
        precondition={"deleting": False, "incarnation": f"{desired.uid}.1", "process": ["exited"]},
    )  # fmt: skip


def test_a_step_runs_while_what_it_relies_on_holds(taking: Callable[..., Engine], step: Step) -> None:
    ran: list[str] = []
    taking(lambda parts, job: ran.append(job.uid)).take(step)
    assert ran == [step.uid]


@pytest.mark.parametrize("change", ["process", "incarnation", "deleted", "purged", "spec", "labels", "stopped"])
def test_a_step_whose_ground_has_moved_is_not_taken(
    taking: Callable[..., Engine], store: Store, step: Step, change: str
) -> None:
    with store.transaction() as session:
        _move(session, step, change)
    ran: list[str] = []
    engine = taking(lambda parts, job: ran.append(job.uid), lambda *claimed: ran.append("claimed"))
    with pytest.raises(errors.Outdated):
        engine.take(step)
    assert not ran
    assert journal(store) == []


def _move(session: Session, step: Step, change: str) -> None:
    observed, desired = running(step.uid), step.desired
    assert observed.incarnation is not None
    if change == "process":
        session.observed.put(step.uid, observed)
    elif change == "incarnation":
        other = msgspec.structs.replace(observed.incarnation, id="another")
        session.observed.put(step.uid, msgspec.structs.replace(observed, incarnation=other, process="exited"))
    elif change == "deleted":
        session.objects.mark_deleting(step.uid, 1.0)
    elif change == "purged":
        session.objects.purge(step.uid)
    elif change == "stopped":
        session.objects.set_override(step.uid, Override(stopped=True))
    else:
        spec = {**desired.spec, "image": "other"} if change == "spec" else desired.spec
        labels = {"tier": "front"} if change == "labels" else desired.labels
        session.objects.replace(step.uid, labels, desired.annotations, spec, desired.owner)


def test_the_first_write_of_a_step_and_its_journal_row_are_one(
    taking: Callable[..., Engine], store: Store, step: Step
) -> None:
    """A claim that fails leaves nothing; one that succeeds is there, with the row, before anything else is done."""

    def claim(parts: Parts, session: Session, step: Step, entry: Entry) -> None:
        session.observed.put(step.uid, msgspec.structs.replace(running(step.uid), process="exited", starts=77))
        if fails:
            raise errors.Temporary("no address is free")

    def starts() -> int:
        with store.snapshot() as session:
            return getattr(session.observed.get(step.uid), "starts", -1)

    seen: list[tuple[int, str]] = []
    engine = taking(lambda parts, job: seen.append((starts(), journal(store)[0].status)), claim)
    fails, before = True, starts()
    with pytest.raises(errors.Temporary):
        engine.take(step)
    assert (starts(), journal(store), seen) == (before, [], [])
    fails = False
    engine.take(step)
    assert seen == [(77, "running")]


def test_a_step_works_on_what_was_claimed_whatever_is_written_meanwhile(
    taking: Callable[..., Engine], store: Store, step: Step
) -> None:
    def edited_meanwhile(parts: Parts, job: Job) -> None:
        with store.transaction() as session:
            _move(session, step, "spec")
        worked_on.append(job.claim.spec)

    worked_on: list[dict[str, Any]] = []
    taking(edited_meanwhile, lambda parts, session, step, entry: step.desired).take(step)
    assert worked_on == [step.desired.spec]
