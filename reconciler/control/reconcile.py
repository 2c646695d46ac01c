"""The reconcile loop: take a key, observe, plan, run the plan's steps as jobs, look again."""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from reconciler import errors, failpoints, planner
from reconciler.control.observer import Observer
from reconciler.control.pacing import Mends, Places, Shared
from reconciler.control.queue import KeyQueue
from reconciler.engine import views
from reconciler.engine.engine import Engine
from reconciler.engine.parts import Parts
from reconciler.kinds.container import restarts
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model import refs
from reconciler.model.keys import Key
from reconciler.model.objects import OBJECT
from reconciler.model.observed import Condition, Observed
from reconciler.model.plan import Plan, Step
from reconciler.model.view import Entry, View
from reconciler.repeated import repeated
from reconciler.store.base import Session

log = logging.getLogger("pydock.reconcile")

#: plans made for one key in one go before it goes to the end of the queue
_ROUNDS = 8
_IDLE_WORKER = 10.0
#: looks at once for each processor, and how long one counts among them (seconds): measured with 30 to start on two
_AT_ONCE, _PATIENCE = 2, 0.2
#: seconds until the next look at a key whose steps failed and which has others to do
_AFTER_FAILURE = 1.0
#: seconds until a status is written that a full disk had no room for
_WHEN_SHORT = 10.0
#: remembered changes before those that nobody can have missed are dropped
_MANY = 1000


class Outcome(enum.Enum):
    """How a step ended: it is done; another object carries it out; its ground had moved and nothing was done; it failed
    and that is noted; the daemon ends."""

    DONE = enum.auto()
    ELSEWHERE = enum.auto()
    OUTDATED = enum.auto()
    FAILED = enum.auto()
    ENDING = enum.auto()


class Reconciler:
    """Workers that bring keys to agreement. A hanging object holds one worker; others are started as the queue asks, up
    to ``limit``."""

    def __init__(
        self,
        parts: Parts,
        engine: Engine,
        observer: Observer,
        limit: int,
        track: Callable[[Key, Sequence[Entry]], None],
    ) -> None:
        self._parts, self._engine, self._observer, self._track = parts, engine, observer, track
        self._limit = limit
        self.queue: KeyQueue[Key] = KeyQueue()
        self._waiting: defaultdict[Key, set[Key]] = defaultdict(set)
        self._closely: set[Key] = set()
        self._epoch = 0
        self._changed_in: dict[Key, int] = {}
        self._under_way: dict[Key, int] = {}
        self._shared = Shared()
        self._mends = Mends()
        self._places = Places(_AT_ONCE * len(os.sched_getaffinity(0)), _PATIENCE)
        self._guard = threading.Lock()
        self._workers = 0
        self._idle = 0

    def look(self, keys: Iterable[Key], closely: bool = False, later: bool = False) -> None:
        """Asks for a look at ``keys``; ``closely`` when mounts, links, rules or limits may have been altered; ``later``
        when nothing is known to have happened to them, so that others go first."""
        keys = list(keys)
        with self._guard:
            if closely:
                self._closely.update(keys)
        self.queue.add(*keys, later=later)
        self._staff()

    def look_at(self, key: Key, deadline: float) -> None:
        self.queue.add_at(key, deadline)

    def reconcile(self, key: Key) -> None:
        """One key to agreement, or to what it waits for. Never raises for what a manifest or the host can cause."""
        with self._guard:
            closely = key in self._closely
            self._closely.discard(key)
        if self._engine.closed:
            return
        # news is a change, too: another may wait for what turns out to be whole
        changed, failures = self._observe(key, closely), 0
        named, owners = set[Key](), set[str]()
        for _ in range(_ROUNDS):
            epoch = self._epoch
            view, plan = self._plan(key)
            named |= _named(view, key)
            owners |= _owners(view, key)
            ran, failed = self._run_steps(key, view, plan, epoch)
            changed = changed or ran
            failures += failed
            # after a failure another thing may be due: it is planned without what has failed
            if not ran or failures > 1:
                break
            # what the steps have brought is there to be seen
            self._observer.observe(key, closely=False)
        else:
            self.queue.add(key)
        if self._finish(key, changed, failures > 0, owners):
            # what is there for its users only may go with the last of them
            self.look(named)

    def plan_all(self) -> Plan:
        """The plan for everything, as the store has it."""
        with self._parts.store.snapshot() as session:
            return planner.plan(views.whole(session), None, self._parts.clock.now())

    def close(self) -> None:
        """No key is taken any more."""
        self.queue.close()

    def wait_ended(self, deadline: float) -> bool:
        """Waits until ``deadline`` (CLOCK_MONOTONIC seconds) for the looks under way; whether all ended."""
        return self.queue.wait_free(max(0.0, deadline - time.monotonic()))

    def _observe(self, key: Key, closely: bool) -> bool:
        """Whether there was news. A close look that fails stops nothing else: what is known without it is planned for,
        and it is repeated."""
        try:
            return self._observer.observe(key, closely)
        except errors.PydockError as error:
            if not closely:
                raise
            repeated.warn(log, f"{key}: cannot compare it with the host: {error.message}")
            news = self._observer.observe(key, closely=False)
            with self._guard:
                self._closely.add(key)
            self.look_at(key, self._parts.clock.now().mono + max(1.0, getattr(error, "delay", 5.0)))
            return news

    def _plan(self, key: Key) -> tuple[View, Plan]:
        with self._parts.store.snapshot() as session:
            view = views.closure(session, [key])
        return view, planner.plan(view, [key], self._parts.clock.now())

    def _run_steps(self, key: Key, view: View, plan: Plan, epoch: int) -> tuple[bool, bool]:
        """Runs the steps that are this key's own and wait for nobody else's; whether any ran, whether one failed."""
        pending = {step.id for step in plan.steps}
        ran = False
        for step in plan.steps:
            if step.key != key:
                self._wait_for(key, step.key, epoch)
                continue
            if any(other in pending for other in step.after):
                continue
            outcome = self._take(step, key, view, plan, epoch)
            if outcome is Outcome.ELSEWHERE:
                continue
            if outcome is not Outcome.DONE:
                return outcome is not Outcome.ENDING, outcome is Outcome.FAILED
            ran = True
            pending.discard(step.id)
            if step.task.learns:
                # what follows was planned without knowing what this has brought
                break
        return ran, False

    def _take(self, step: Step, key: Key, view: View, plan: Plan, epoch: int) -> Outcome:
        """One step to its outcome. What several objects share is done by one of them."""
        with contextlib.ExitStack() as held:
            if step.task.shared:
                other = held.enter_context(self._shared.claim(step.task.shared, key))
                if other is not None:
                    self._wait_for(key, other, epoch)
                    return Outcome.ELSEWHERE
                held.callback(self._wake, key)
            if step.task.slow:
                # people see what is under way, not what was before
                self._write_status(key, view, plan)
            return self._run(step, _planned(view, step))

    def _run(self, step: Step, entry: Entry | None) -> Outcome:
        """The one place where the ways in which a step may end are told apart."""
        failpoints.hit(f"step.{step.action}.before")
        try:
            self._mends.count(step, self._parts.clock.now().mono)
            self._engine.take(step, planner.attempt(entry, step.action) if entry else 1)
        except errors.Outdated as error:
            log.info("%s: planned anew: %s", step.id, error.message)
            return Outcome.OUTDATED
        except errors.PydockError as error:
            return self._failed(step, error, entry)
        except Exception as error:  # noqa: BLE001 - told with its traceback; the loop goes on
            # one object's trouble must not stop the others
            repeated.internal(log, f"{step.key}: internal error in {step.id}", error)
            return self._failed(step, errors.Temporary(f"internal error: {error!r}"), entry)
        finally:
            failpoints.hit(f"step.{step.action}.after")
        if step.task.moves_users:
            # what its users take from it is theirs to bring about
            self.look(self._users(step), closely=True)
        return Outcome.DONE

    def _users(self, step: Step) -> list[Key]:
        """The objects that hold the step's object by what they are now."""
        with self._parts.store.snapshot() as session:
            return session.refs.to(refs.uid_target(step.uid))

    def _failed(self, step: Step, error: errors.PydockError, planned: Entry | None) -> Outcome:
        """Notes the failure, unless it is the daemon's end, or something else is wanted of the object by now."""
        if self._engine.closed:
            return Outcome.ENDING
        repeated.warn(log, f"{step.id} failed: {error.message}")
        now = self._parts.clock.now()
        delay = error.delay if isinstance(error, errors.Temporary) else 0.0
        final = isinstance(error, (errors.Permanent, errors.Invalid))
        with self._parts.store.transaction(durable=False) as session:
            for entry in session.entries([step.key]):
                if entry.desired.uid != step.uid:
                    continue
                if planned is None or planner.same_wish(planned.desired, entry.desired):
                    noted = planner.after_error(entry, error.message, now, step.action, delay, final)
                    session.observed.put(step.uid, noted)
                    reason = "".join(word.title() for word in step.action.split("_")) + "Failed"
                    session.events.record(str(step.key), step.uid, "Warning", reason, error.message, now.wall)
        return Outcome.FAILED

    def _finish(self, key: Key, changed: bool, failed: bool, owners: Iterable[str]) -> bool:
        """Writes status, arranges when to look again, wakes those who waited for this key, and its ``owners``; whether
        nothing of that key is there any more."""
        epoch = self._epoch
        view, plan = self._plan(key)
        self._arrange(key, plan, epoch, failed)
        own = [wait for wait in plan.waits if wait.key == key]
        for wait in own:
            if wait.until_mono:
                self.look_at(key, wait.until_mono)
            for other in wait.on:
                self._wait_for(key, other, epoch)
        wrote = self._write_status(key, view, plan)
        here = view.at(key)
        self._track(key, here)
        if changed or wrote:
            self._wake(key)
            self._tell(owners)
        if not here:
            self._mends.forget(key)
        return not here

    def _tell(self, owners: Iterable[str]) -> None:
        """The objects with these uids look at what became of those that they have made."""
        if not owners:
            return
        with self._parts.store.snapshot() as session:
            found = [session.objects.get(uid) for uid in owners]
        self.look([owner.key for owner in found if owner is not None])

    def _arrange(self, key: Key, plan: Plan, epoch: int, failed: bool) -> None:
        """What the plan still holds although the last round ran nothing: the world has moved on since, or a step has
        failed."""
        pending = {step.id for step in plan.steps}
        for step in plan.steps:
            if step.key != key:
                self._wait_for(key, step.key, epoch)
            elif pending.isdisjoint(step.after) and not self._done_by_another(step, key):
                self.look_at(key, self._parts.clock.now().mono + (_AFTER_FAILURE if failed else 0.0))

    def _done_by_another(self, step: Step, key: Key) -> bool:
        return bool(step.task.shared) and self._shared.holder(step.task.shared) not in (None, key)

    def _write_status(self, key: Key, view: View, plan: Plan) -> bool:
        """Whether there was something to write: phase, conditions and generation, into the row as it is by now."""
        now = self._parts.clock.now()
        fresh = []
        for entry in view.at(key):
            status = planner.status(entry, plan, now)
            if status != entry.observed:
                fresh.append((entry, status))
        if not fresh:
            return False
        with self._parts.store.transaction(durable=False) as session:
            if session.short:
                # what frees room needs the room that is left; people are told when there is some again
                self.look_at(key, now.mono + _WHEN_SHORT)
                return False
            for entry, status in fresh:
                uid = entry.desired.uid
                if session.objects.get(uid) is None:
                    continue
                present = session.observed.get(uid)
                session.observed.put(uid, status if present is None else planner.with_status(present, entry, status))
                _tell_back_off(session, entry, status, now.wall)
        return True

    def _wait_for(self, key: Key, other: Key, epoch: int) -> None:
        """``key`` comes again when ``other`` has changed; at once if that was since ``epoch``, when ``key``'s plan was
        made."""
        if other == key:
            return
        with self._guard:
            missed = self._changed_in.get(other, -1) >= epoch
            self._waiting[other].add(key)
        self.look([other, key] if missed else [other])

    def _wake(self, key: Key) -> None:
        with self._guard:
            self._changed_in[key] = self._epoch
            self._epoch += 1
            waiting = self._waiting.pop(key, set())
            if len(self._changed_in) > _MANY:
                self._forget_changes()
        if waiting:
            self.look(waiting, later=True)

    def _forget_changes(self) -> None:
        """Drops what no look under way can have missed: each look compares with an epoch taken after it began."""
        oldest = min(self._under_way.values(), default=self._epoch)
        self._changed_in = {key: epoch for key, epoch in self._changed_in.items() if epoch >= oldest}

    def start(self) -> None:
        """Starts the first worker, which stays; others come and go with the work."""
        self._workers += 1
        threading.Thread(target=self._work, args=(None,), name="reconcile-0", daemon=True).start()

    def _staff(self) -> None:
        """One more worker if all are busy, so that somebody takes what comes next or is due."""
        with self._guard:
            if self._idle > 0 or not 0 < self._workers < self._limit:
                return
            self._workers += 1
            name = f"reconcile-{self._workers}"
        try:
            threading.Thread(target=self._work, args=(_IDLE_WORKER,), name=name, daemon=True).start()
        except RuntimeError as error:
            # those that are there do the work, one after another
            log.warning("no further worker: %s", error)
            with self._guard:
                self._workers -= 1

    def _work(self, patience: float | None) -> None:
        """A worker's life: it ends when it has had nothing to do for ``patience`` seconds, or with the queue."""
        while True:
            with self._guard:
                self._idle += 1
            key = self.queue.take(timeout=patience)
            if key is None:
                with self._guard:
                    self._idle -= 1
                    # one always listens for deadlines, while others may be busy for long
                    if self._idle == 0 and not self.queue.closed:
                        continue
                    self._workers -= 1
                    return
            # who waits for a place is idle, so that there is but one
            with self._places.hold():
                with self._guard:
                    self._idle -= 1
                self._staff()
                self._attempt(key)

    def _attempt(self, key: Key) -> None:
        with self._guard:
            self._under_way[key] = self._epoch
        try:
            self.reconcile(key)
        except errors.Temporary as error:
            repeated.warn(log, f"{key}: {error.message}")
            self.look_at(key, self._parts.clock.now().mono + error.delay)
        except Exception as error:  # noqa: BLE001 - told with its traceback; the loop goes on
            repeated.internal(log, f"{key}: internal error", error)
            self.look_at(key, self._parts.clock.now().mono + 5.0)
        finally:
            with self._guard:
                self._under_way.pop(key, None)
            self.queue.done(key)


def _named(view: View, key: Key) -> set[Key]:
    """Whom the objects of that key name."""
    return {other for entry in view.at(key) for other in planner.dependencies(entry.desired, view.live)}


def _owners(view: View, key: Key) -> set[str]:
    """The uids of the objects that have made those of that key."""
    return {entry.desired.owner.item for entry in view.at(key) if entry.desired.owner.source == OBJECT}


def _tell_back_off(session: Session, entry: Entry, status: Observed, now: float) -> None:
    """One event each time that a container which keeps ending is held back."""
    ready = _ready(status)
    if ready is None or ready.reason != "CrashLoopBackOff" or not isinstance(status, ContainerObserved):
        return
    former = _ready(entry.observed) if entry.observed is not None else None
    # the message counts the exits in a row
    if former is None or former.message != ready.message:
        message = f"{restarts.exit_text(status)}: it is held back before it is started again"
        session.events.record(str(entry.desired.key), entry.desired.uid, "Warning", "BackOff", message, now)


def _ready(observed: Observed) -> Condition | None:
    return next((each for each in observed.conditions if each.type == "Ready"), None)


def _planned(view: View, step: Step) -> Entry | None:
    """The step's object as it was when the step was planned."""
    return next((entry for entry in view.at(step.key) if entry.desired.uid == step.uid), None)
