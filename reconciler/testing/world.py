"""A model of the host: applies the steps of plans to observed state in memory, and refuses what a real host could not
do.

Properties of the planner are tested on it: ``put``, ``delete``, ``stop`` and the like are what people do, ``exit``,
``drift``, ``reboot`` and ``tick`` what happens to a host, ``run`` what a handler does. A step that a sound plan would
not hold, such as a start before its network is there, is an ``AssertionError``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import msgspec

from reconciler import planner
from reconciler.kinds import table
from reconciler.kinds.container import runs
from reconciler.kinds.container.observed import Attachment, ContainerObserved, ExitReason, Incarnation
from reconciler.kinds.container.spec import ContainerSpec
from reconciler.kinds.image.observed import ImageObserved
from reconciler.kinds.network import changes
from reconciler.kinds.network.observed import NetworkObserved
from reconciler.kinds.network.spec import NetworkSpec
from reconciler.model import references
from reconciler.model.keys import Key
from reconciler.model.objects import Desired, Override, Owner
from reconciler.model.observed import Observed
from reconciler.model.plan import Plan, Step
from reconciler.model.view import DEFAULT_NETWORK, Entry, ImageFacts, Moment, View

_OWNER = Owner("api", "test")
_ALIVE = ("created", "running")


class World:
    """``ran`` lists the ids of steps that succeeded. ``fails`` maps a step's id (or its action) to the error it is to
    end with.
    """

    def __init__(self) -> None:
        self.now = Moment(mono=1000.0, wall=1.7e9, boot_id="boot-0")
        self.entries: dict[str, Entry] = {}
        self.images: dict[str, ImageFacts] = {}
        self.ran: list[str] = []
        self.fails: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._boots = itertools.count(1)
        self.put(DEFAULT_NETWORK, {})

    # what people do

    def put(self, key: Key, spec: dict[str, Any], labels: dict[str, str] | None = None) -> Entry:
        """Applies a manifest."""
        entry = self.find(key)
        if entry is None:
            number = next(self._numbers)
            desired = Desired(
                key=key, uid=f"uid-{number}", generation=1, revision=number, created_at=self.now.wall,
                labels=labels or {}, annotations={}, spec=spec, owner=_OWNER,
            )  # fmt: skip
            self.entries[desired.uid] = Entry(desired=desired, observed=None)
            return self.entries[desired.uid]
        generation = entry.desired.generation + (1 if entry.desired.spec != spec else 0)
        return self._desire(entry, spec=spec, labels=labels or {}, generation=generation)

    def delete(self, key: Key) -> None:
        self._desire(self.the(key), deleting_at=self.now.wall)

    def stop(self, key: Key) -> None:
        self._desire(self.the(key), override=Override(stopped=True, restart=self.the(key).desired.override.restart))

    def restart(self, key: Key) -> None:
        """Also what starts a container that was stopped."""
        self._desire(self.the(key), override=Override(restart=self.the(key).desired.override.restart + 1))

    # what happens to a host

    def tick(self, seconds: float) -> None:
        self.now = Moment(mono=self.now.mono + seconds, wall=self.now.wall + seconds, boot_id=self.now.boot_id)

    def reboot(self) -> None:
        """Processes, bridges and mounts are gone; what had ended is remembered as that."""
        self.now = Moment(mono=10.0, wall=self.now.wall + 60, boot_id=f"boot-{next(self._boots)}")
        for entry in list(self.entries.values()):
            if isinstance(entry.observed, ContainerObserved) and entry.observed.process in _ALIVE:
                self._observe(entry, process="absent", pid=0)

    def exit(self, key: Key, code: int | None = 0, reason: ExitReason = "exited") -> None:
        """The container's process ends by itself; ``code`` None: nobody saw how, or its runtime state is gone."""
        entry = self.the(key)
        if isinstance(entry.observed, ContainerObserved) and entry.observed.process == "running":
            ended = msgspec.structs.replace(
                entry.observed, process="exited" if code is not None else "absent", pid=0, exit_code=code, drift=(),
                exit_reason=reason if code is not None else "unknown", exit_signal=9 if reason == "signal" else 0,
            )  # fmt: skip
            self._store(entry, runs.after_exit(ended, self.now))

    def drift(self, key: Key, *facets: str) -> None:
        """Somebody alters what is around a running container, or a network."""
        entry = self.the(key)
        if (isinstance(entry.observed, NetworkObserved) and entry.observed.created) or (
            isinstance(entry.observed, ContainerObserved) and entry.observed.process == "running"
        ):
            self._observe(entry, drift=facets)

    # what the loop does

    def view(self) -> View:
        live, terminating = {}, dict[Key, tuple[Entry, ...]]()
        for entry in self.entries.values():
            key = entry.desired.key
            if entry.desired.deleting_at is None:
                live[key] = entry
            else:
                terminating[key] = (*terminating.get(key, ()), entry)
        return View(live=live, terminating=terminating, images=dict(self.images))

    def plan(self, *keys: Key) -> Plan:
        """The plan for ``keys``, or for everything."""
        return planner.plan(self.view(), keys or None, self.now)

    def run(self, step: Step) -> bool:
        """Carries a step out, or notes its error on its object; whether it succeeded."""
        entry = self.entries.get(step.uid)
        assert entry is not None, f"{step.id}: its object is gone"
        message = self.fails.get(step.id) or self.fails.get(step.action)
        if message is not None:
            self._store(entry, planner.after_error(entry, message, self.now, step.action))
            return False
        if not step.task.shared:
            planner.check(step, entry)
        self._handlers()[step.action](entry, step)
        self.ran.append(step.id)
        return True

    def carry_out(self, plan: Plan) -> None:
        """All steps in the plan's order; what comes after a failed one is left."""
        done = set[str]()
        planned = {step.id for step in plan.steps}
        for step in plan.steps:
            assert set(step.after) <= planned, f"{step.id} comes after what is not planned: {step.after}"
            if done >= set(step.after) and self.run(step):
                done.add(step.id)

    def reconcile(self, key: Key, rounds: int = 20) -> bool:
        """One object as the loop does it: its own steps that wait for nobody else's, then a new plan. Whether
        anything was done.
        """
        for number in range(rounds):
            plan = self.plan(key)
            pending = {step.id for step in plan.steps}
            ran = False
            for step in plan.steps:
                if (step.key == key or step.action == "pull") and not pending.intersection(step.after):
                    if not self.run(step):
                        break
                    pending.discard(step.id)
                    ran = True
            if not ran:
                self._write_status(key)
                return number > 0
        raise AssertionError(f"{key} does not come to rest: {planner.text(self.plan(key))}")

    def settle(self, rounds: int = 50) -> Plan:
        """Looks at every object until there is nothing to do but wait; returns the plan for everything, then without
        steps.
        """
        for _ in range(rounds):
            keys = sorted({entry.desired.key for entry in self.entries.values()})
            busy = [key for key in keys if self.reconcile(key)]
            if not busy:
                return self.plan()
        raise AssertionError("does not come to rest:\n" + planner.text(self.plan()))

    # asking

    def find(self, key: Key) -> Entry | None:
        """The live object of that key."""
        return next((e for e in self.entries.values() if e.desired.key == key and e.desired.deleting_at is None), None)

    def the(self, key: Key) -> Entry:
        entry = self.find(key)
        assert entry is not None, f"no {key}"
        return entry

    def container(self, key: Key) -> ContainerObserved:
        observed = self.the(key).observed
        return observed if isinstance(observed, ContainerObserved) else ContainerObserved()

    def status(self, key: Key) -> Observed:
        """The status as the loop would write it now."""
        return planner.status(self.the(key), self.plan(key), self.now)

    # handlers

    def _handlers(self) -> dict[str, Callable[[Entry, Step], None]]:
        return {
            "pull": self._pull, "untag": self._untag, "create": self._create, "start": self._start,
            "stop": self._stop, "remove": self._remove, "update": self._update, "repair": self._repair,
            "network_create": self._network_create, "network_update": self._network_update,
            "network_repair": self._network_repair, "network_remove": self._network_remove,
        }  # fmt: skip

    def _pull(self, entry: Entry, step: Any) -> None:
        reference = step.task.reference
        assert reference not in self.images, f"{reference} is here already"
        number = next(self._numbers)
        self.images[reference] = ImageFacts(
            reference=reference, digest=f"sha256:d{number}", image_id=f"sha256:i{number}", size=1, chain_id="sha256:c"
        )

    def _untag(self, entry: Entry, step: Any) -> None:
        if not step.task.keep:
            facts = self.images.pop(step.task.reference)
            made = [(each.desired.key, seen.incarnation) for each, seen in self._containers()]
            used = [key for key, incarnation in made if incarnation and incarnation.image_id == facts.image_id]
            assert not used, f"{facts.reference} is used by {used}"
        if entry.desired.deleting_at is not None:
            del self.entries[entry.desired.uid]
        else:
            self._observe(entry, reference="", digest="", image_id="")

    def _create(self, entry: Entry, step: Any) -> None:
        assert self._twins(entry) == [entry], f"{step.id}: a predecessor is still there"
        facts = self.images.get(str(references.parse(entry.desired.spec["image"])))
        assert facts is not None, f"{step.id}: no image"
        assert step.task.image in ("", facts.image_id)
        incarnation = Incarnation(
            id=f"inc-{next(self._numbers)}", generation=entry.desired.generation, written=entry.desired.spec,
            effective=msgspec.convert(entry.desired.spec, ContainerSpec), labels=entry.desired.labels,
            image_digest=facts.digest, image_id=facts.image_id,
        )  # fmt: skip
        self._observe(
            entry, incarnation=incarnation, attachments=self._attach(entry), process="absent", starts=0, failures=0,
            drift=(), next_start_mono=0.0, restart=entry.desired.override.restart, boot_id=self.now.boot_id,
            exit_code=None, exit_reason="",
        )  # fmt: skip

    def _attach(self, entry: Entry) -> tuple[Attachment, ...]:
        attachments = []
        for index, network in enumerate(self._networks(entry)):
            observed = network.observed
            assert isinstance(observed, NetworkObserved)
            assert observed.created, f"{entry.desired.key}: {network.desired.key} has not been made"
            attachment = Attachment(
                network_uid=network.desired.uid,
                network=network.desired.key.name,
                interface=f"eth{index}",
                host_interface=f"v{index}",
                address=f"10.0.0.{next(self._numbers)}",
                mac="",
                prefix=24,
                gateway=observed.gateway,
            )
            attachments.append(attachment)
        return tuple(attachments)

    def _networks(self, entry: Entry) -> list[Entry]:
        names = [str(ref["name"]) for ref in entry.desired.spec.get("networks") or ()]
        own = [Key("Network", entry.desired.key.namespace, name) for name in names] or [DEFAULT_NETWORK]
        return [self.the(DEFAULT_NETWORK if key.name == "default" and self.find(key) is None else key) for key in own]

    def _start(self, entry: Entry, step: Any) -> None:
        observed = _container(entry)
        assert observed.incarnation is not None
        for network in self._networks(entry):
            assert isinstance(network.observed, NetworkObserved)
            assert network.observed.created, f"{step.id}: {network.desired.key} is not there"
            assert not network.observed.drift, f"{step.id}: {network.desired.key} is broken"
        for ref in entry.desired.spec.get("dependsOn") or ():
            self._assert_started(Key("Container", entry.desired.key.namespace, ref["name"]), step)
        self._observe(
            entry, process="running", pid=next(self._numbers), starts=runs.this_boot(observed, self.now).starts + 1,
            restart_count=observed.restart_count + (1 if step.task.counts else 0), started_at=self.now.wall,
            started_mono=self.now.mono, boot_id=self.now.boot_id, restart=entry.desired.override.restart, drift=(),
            exit_code=None, exit_reason="", exit_signal=0, supervised=True,
        )  # fmt: skip

    def _assert_started(self, key: Key, step: Step) -> None:
        """Has run in this boot, or ended before it for good."""
        observed = self.container(key)
        assert observed.incarnation is not None, f"{step.id}: {key} is not there"
        ran = observed.starts > 0 and observed.boot_id == self.now.boot_id
        assert ran or observed.process == "exited", f"{step.id}: {key} has not started"

    def _stop(self, entry: Entry, step: Any) -> None:
        assert _container(entry).process in _ALIVE, f"{step.id}: does not run"
        assert step.task.signal > 0
        assert step.task.grace >= 0
        self._observe(
            entry,
            process="exited",
            pid=0,
            exit_code=143,
            exit_reason="signal",
            failures=0,
            next_start_mono=0.0,
            drift=(),
        )

    def _remove(self, entry: Entry, step: Any) -> None:
        observed = _container(entry)
        assert observed.process not in _ALIVE or observed.boot_id != self.now.boot_id, f"{step.id}: it still runs"
        if step.task.final:
            assert entry.desired.deleting_at is not None
            del self.entries[entry.desired.uid]
        else:
            self._observe(entry, incarnation=None, process="absent", pid=0, drift=())

    def _update(self, entry: Entry, step: Step) -> None:
        made = _container(entry).incarnation
        assert made is not None
        effective = msgspec.convert(entry.desired.spec, ContainerSpec)
        fresh = msgspec.structs.replace(
            made, written=entry.desired.spec, effective=effective, labels=entry.desired.labels
        )
        self._observe(entry, incarnation=fresh)

    def _repair(self, entry: Entry, step: Any) -> None:
        assert tuple(sorted(_container(entry).drift)) == step.task.facets
        self._observe(entry, drift=())

    def _network_create(self, entry: Entry, step: Step) -> None:
        assert self._twins(entry) == [entry], f"{step.id}: a predecessor is still there"
        self._network_update(entry, step)

    def _network_update(self, entry: Entry, step: Step) -> None:
        spec = msgspec.convert(entry.desired.spec, NetworkSpec)
        observed = entry.observed if isinstance(entry.observed, NetworkObserved) else NetworkObserved()
        subnet = spec.subnet or observed.subnet or f"10.200.{next(self._numbers) % 250}.0/24"
        self._observe(
            entry, effective=spec, written=entry.desired.spec, bridge=f"br-{entry.desired.uid}", subnet=subnet,
            created=True, gateway=spec.gateway or changes.first_host(subnet), drift=(), boot_id=self.now.boot_id,
        )  # fmt: skip

    def _network_repair(self, entry: Entry, step: Step) -> None:
        self._observe(entry, drift=(), boot_id=self.now.boot_id)

    def _network_remove(self, entry: Entry, step: Step) -> None:
        uid = entry.desired.uid
        used = [
            each.desired.key
            for each, seen in self._containers()
            if seen.process in _ALIVE and any(at.network_uid == uid for at in seen.attachments)
        ]
        assert not used, f"{step.id}: used by {used}"
        del self.entries[uid]

    # bookkeeping

    def _twins(self, entry: Entry) -> list[Entry]:
        """The objects of the entry's key."""
        return [other for other in self.entries.values() if other.desired.key == entry.desired.key]

    def _containers(self) -> list[tuple[Entry, ContainerObserved]]:
        return [(entry, _container(entry)) for entry in self.entries.values() if entry.desired.key.kind == "Container"]

    def _write_status(self, key: Key) -> None:
        plan = self.plan(key)
        for entry in list(self.entries.values()):
            if entry.desired.key == key:
                self._note_image(entry)
                self._store(entry, planner.status(self.entries[entry.desired.uid], plan, self.now))

    def _note_image(self, entry: Entry) -> None:
        """Observation of an Image object: what the graph has of its reference, once the former one is dealt with."""
        if entry.desired.key.kind != "Image":
            return
        reference = str(references.parse(entry.desired.spec["reference"]))
        known = entry.observed.reference if isinstance(entry.observed, ImageObserved) else ""
        facts = self.images.get(reference)
        if facts is not None and known in ("", reference):
            self._observe(entry, reference=reference, digest=facts.digest, image_id=facts.image_id, size=facts.size)

    def _desire(self, entry: Entry, **fields: Any) -> Entry:
        fresh = Entry(desired=msgspec.structs.replace(entry.desired, **fields), observed=entry.observed)
        self.entries[entry.desired.uid] = fresh
        return fresh

    def _observe(self, entry: Entry, **fields: Any) -> None:
        self._store(entry, msgspec.structs.replace(table.observed_of(entry), **fields))

    def _store(self, entry: Entry, observed: Observed) -> None:
        self.entries[entry.desired.uid] = Entry(desired=self.entries[entry.desired.uid].desired, observed=observed)


def _container(entry: Entry) -> ContainerObserved:
    return entry.observed if isinstance(entry.observed, ContainerObserved) else ContainerObserved()
