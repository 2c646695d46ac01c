"""The reconcile loop: take a key, observe, plan, run the plan's steps as jobs, look again."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from reconciler import errors, failpoints, planner
from reconciler.control.observer import Observer
from reconciler.control.queue import KeyQueue
from reconciler.engine import views
from reconciler.engine.engine import Engine
from reconciler.engine.handlers.writes import BUILTIN
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model.keys import Key
from reconciler.model.objects import Owner
from reconciler.model.observed import ContainerObserved
from reconciler.model.plan import Plan, Step
from reconciler.model.view import DEFAULT_NETWORK, Entry, View

log = logging.getLogger("pydock.reconcile")

#: plans made for one key in one go before it goes to the end of the queue
_ROUNDS = 8
_IDLE_WORKER = 10.0


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
        self._guard = threading.Lock()
        self._workers = 0
        self._idle = 0

    def look(self, keys: Iterable[Key], closely: bool = False) -> None:
        """Asks for a look at ``keys``; ``closely`` when mounts, links, rules or limits may have been altered."""
        keys = list(keys)
        with self._guard:
            if closely:
                self._closely.update(keys)
        self.queue.add(*keys)
        self._staff()

    def look_at(self, key: Key, deadline: float) -> None:
        self.queue.add_at(key, deadline)

    def reconcile(self, key: Key) -> None:
        """One key to agreement, or to what it waits for. Never raises for what a manifest or the host can cause."""
        with self._guard:
            closely = key in self._closely
            self._closely.discard(key)
        if key.kind == "Container":
            self._ensure_default_network(key)
        self._observer.observe(key, closely)
        changed = False
        for _ in range(_ROUNDS):
            epoch = self._epoch
            _, plan = self._plan(key)
            ran, failed = self._run_steps(key, plan, epoch)
            changed = changed or ran
            if not ran or failed:
                break
            if key.kind == "Image":
                # what a pull or an untag did is noted on the object by looking at the graph
                self._observer.observe(key, closely=False)
        else:
            self.queue.add(key)
        self._finish(key, changed)

    def plan_all(self) -> Plan:
        """The plan for everything, as the store has it."""
        with self._parts.store.snapshot() as session:
            return planner.plan(views.whole(session), None, self._parts.clock.now())

    def close(self) -> None:
        self.queue.close()

    def _plan(self, key: Key) -> tuple[View, Plan]:
        with self._parts.store.snapshot() as session:
            view = views.closure(session, [key])
        return view, planner.plan(view, [key], self._parts.clock.now())

    def _run_steps(self, key: Key, plan: Plan, epoch: int) -> tuple[bool, bool]:
        """Runs the steps that are this key's own and wait for nobody else's; whether any ran, whether one failed."""
        pending = {step.id for step in plan.steps}
        ran = False
        for step in plan.steps:
            if step.key != key:
                self._wait_for(key, step.key, epoch)
                continue
            if any(other in pending for other in step.after):
                continue
            if not self._run(step, key):
                return True, True
            ran = True
            pending.discard(step.id)
        return ran, False

    def _run(self, step: Step, key: Key) -> bool:
        job = Job(step.action, args=dict(step.args), key=step.key, uid=step.uid, cause=step.cause, step=step)
        failpoints.hit(f"step.{step.action}.before")
        try:
            self._engine.run(job)
        except errors.PydockError as error:
            self._failed(step, error)
            return False
        except Exception as error:
            # one object's trouble must not stop the others
            log.exception("%s: internal error in %s", key, step.id)
            self._failed(step, errors.Permanent(f"internal error: {error!r}"))
            return False
        failpoints.hit(f"step.{step.action}.after")
        if step.action == "network_update":
            # what its containers' interfaces take from it (mtu, the way out) is theirs to bring about
            self.look(self._attached(step.uid), closely=True)
        return True

    def _attached(self, network_uid: str) -> list[Key]:
        """The containers that have an interface in that network."""
        with self._parts.store.snapshot() as session:
            seen = [(entry.desired.key, entry.observed) for entry in session.entries()]
        return [
            key
            for key, observed in seen
            if isinstance(observed, ContainerObserved)
            and any(attachment.network_uid == network_uid for attachment in observed.attachments)
        ]

    def _failed(self, step: Step, error: errors.PydockError) -> None:
        log.warning("%s failed: %s", step.id, error.message)
        now = self._parts.clock.now()
        delay = error.delay if isinstance(error, errors.Temporary) else 0.0
        with self._parts.store.transaction(durable=False) as session:
            for entry in session.entries([step.key]):
                if entry.desired.uid == step.uid:
                    session.observed.put(step.uid, planner.after_error(entry, error.message, now, step.action, delay))
                    reason = "".join(word.title() for word in step.action.split("_")) + "Failed"
                    session.events.record(str(step.key), step.uid, "Warning", reason, error.message, now.wall)

    def _finish(self, key: Key, changed: bool) -> None:
        """Writes status, arranges when to look again, wakes those who waited for this key."""
        epoch = self._epoch
        view, plan = self._plan(key)
        own = [wait for wait in plan.waits if wait.key == key]
        for wait in own:
            if wait.until_mono:
                self.look_at(key, wait.until_mono)
            for other in wait.on:
                self._wait_for(key, other, epoch)
        wrote = self._write_status(key, view, plan)
        self._track(key, [*([view.live[key]] if key in view.live else []), *view.terminating.get(key, ())])
        self._release_default_network(key, view)
        if changed or wrote:
            self._wake(key)

    def _write_status(self, key: Key, view: View, plan: Plan) -> bool:
        """Whether there was something to write."""
        now = self._parts.clock.now()
        entries: list[Entry] = [view.live[key]] if key in view.live else []
        fresh = []
        for entry in (*entries, *view.terminating.get(key, ())):
            status = planner.status(entry, plan, now)
            if status != entry.observed:
                fresh.append((entry, status))
        if not fresh:
            return False
        with self._parts.store.transaction(durable=False) as session:
            for entry, status in fresh:
                # nobody else writes this object's observed state while its key is ours
                if session.objects.get(entry.desired.uid) is not None:
                    session.observed.put(entry.desired.uid, status)
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
        if waiting:
            self.look(waiting)

    def _ensure_default_network(self, key: Key) -> None:
        """The instance's own network is an object like any other, made when the first container of the default kind
        comes."""
        with self._parts.store.snapshot() as session:
            live = session.objects.live(key)
            if (
                live is None
                or DEFAULT_NETWORK not in planner.dependencies(live)
                or session.objects.live(DEFAULT_NETWORK) is not None
            ):
                return
        try:
            with self._parts.store.transaction() as session:
                session.objects.create(
                    DEFAULT_NETWORK, {}, {}, {}, Owner(BUILTIN, "default"), self._parts.clock.now().wall
                )
        except errors.Conflict:
            return
        self.look([DEFAULT_NETWORK])

    def _release_default_network(self, key: Key, view: View) -> None:
        """It goes with the last container, so that nothing is left of an instance that holds none; or later, when a
        crash came in between."""
        gone = key.kind == "Container" and key not in view.live and not view.terminating.get(key)
        if not gone and key != DEFAULT_NETWORK:
            return
        with self._parts.store.snapshot() as session:
            live = session.objects.live(DEFAULT_NETWORK)
            if live is None or live.owner.source != BUILTIN or session.objects.find(kind="Container"):
                return
        with self._parts.store.transaction() as session:
            if not session.objects.find(kind="Container"):
                session.objects.mark_deleting(live.uid, self._parts.clock.now().wall)
        self.look([DEFAULT_NETWORK])

    def start(self) -> None:
        """Starts the first worker, which stays; others come and go with the work."""
        self._workers += 1
        threading.Thread(target=self._work, args=(None,), name="reconcile-0", daemon=True).start()

    def _staff(self) -> None:
        """One more worker if all are busy and work is waiting."""
        with self._guard:
            if self._idle > 0 or not 0 < self._workers < self._limit:
                return
            self._workers += 1
            name = f"reconcile-{self._workers}"
        threading.Thread(target=self._work, args=(_IDLE_WORKER,), name=name, daemon=True).start()

    def _work(self, patience: float | None) -> None:
        """A worker's life: it ends when it has had nothing to do for ``patience`` seconds, or with the queue."""
        while True:
            with self._guard:
                self._idle += 1
            key = self.queue.take(timeout=patience)
            with self._guard:
                self._idle -= 1
                if key is None:
                    self._workers -= 1
                    return
            if self.queue.backlog():
                self._staff()
            self._attempt(key)

    def _attempt(self, key: Key) -> None:
        try:
            self.reconcile(key)
        except errors.Temporary as error:
            log.warning("%s: %s", key, error.message)
            self.look_at(key, self._parts.clock.now().mono + error.delay)
        except Exception:
            log.exception("%s: internal error", key)
            self.look_at(key, self._parts.clock.now().mono + 5.0)
        finally:
            self.queue.done(key)
