"""What one act of planning knows: the view, the moment, and what has been found out so far."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from reconciler.kinds.network import changes
from reconciler.model import kinds, references
from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.model.observed import ContainerObserved, Incarnation, NetworkObserved
from reconciler.model.plan import Action, Plan, Step, Wait
from reconciler.model.view import DEFAULT_NETWORK, Entry, ImageFacts, Moment, View
from reconciler.planner import refresh


class Outcome(NamedTuple):
    """What planning one object gave. ``steps`` may hold a pull that others share."""

    steps: tuple[Step, ...] = ()
    waits: tuple[Wait, ...] = ()
    warnings: tuple[str, ...] = ()

    def find(self, action: Action) -> Step | None:
        return next((step for step in self.steps if step.action == action), None)


NOTHING = Outcome()


class Wiring(NamedTuple):
    """How a network's containers are wired to it: what their attachments must say. An empty gateway: not known yet."""

    uid: str
    gateway: str = ""
    prefix: int = 0


class Context:
    """``outcomes`` are by uid. ``cycles`` maps each member of a dependency cycle to the cycle's path."""

    def __init__(self, view: View, now: Moment) -> None:
        self.view, self.now = view, now
        self.outcomes: dict[str, Outcome] = {}
        self.cycles: dict[Key, tuple[Key, ...]] = {}
        self._references: dict[str, str] = {}
        self._wirings: dict[Key, Wiring | None] = {}
        self._image_objects: dict[str, Entry] | None = None

    def outcome(self, entry: Entry) -> Outcome:
        return self.outcomes.get(entry.desired.uid, NOTHING)

    def plan(self) -> Plan:
        """All outcomes in the order in which they were found, each shared step once."""
        steps = {step.id: step for outcome in reversed(self.outcomes.values()) for step in outcome.steps}
        ordered = dict.fromkeys(step.id for outcome in self.outcomes.values() for step in outcome.steps)
        return Plan(
            steps=tuple(steps[id] for id in ordered),
            waits=tuple(wait for outcome in self.outcomes.values() for wait in outcome.waits),
            warnings=tuple(dict.fromkeys(text for outcome in self.outcomes.values() for text in outcome.warnings)),
        )

    def reference(self, text: str) -> str:
        """The normalised form, looked up once."""
        found = self._references.get(text)
        if found is None:
            found = self._references[text] = references.normalised(text)
        return found

    def image(self, text: str) -> ImageFacts | None:
        return self.view.images.get(self.reference(text))

    def image_object(self, reference: str) -> Entry | None:
        """The live Image object that keeps the (normalised) reference; the first by name if several do."""
        if self._image_objects is None:
            found = sorted((item for item in self.view.live.items() if item[0].kind == kinds.IMAGE.name), reverse=True)
            self._image_objects = {self.reference(str(entry.desired.spec["reference"])): entry for _, entry in found}
        return self._image_objects.get(reference)

    def follower(self, made: Incarnation) -> Entry | None:
        """The Image object that went after its tag, so that the incarnation's reference means another image now."""
        reference = self.reference(made.effective.image)
        facts = self.view.images.get(reference)
        if facts is None or facts.image_id == made.image_id:
            return None
        keeper = self.image_object(reference)
        return keeper if keeper is not None and refresh.follows(keeper.desired) else None

    def network(self, desired: Desired, name: str) -> Key:
        """The network that a container means by ``name``."""
        key = Key(kinds.NETWORK.name, desired.key.namespace, name)
        return DEFAULT_NETWORK if name == DEFAULT_NETWORK.name and key not in self.view.live else key

    def networks(self, desired: Desired) -> tuple[Key, ...]:
        """The networks of a container, in its order."""
        written = desired.spec.get("networks")
        if not written:
            return (DEFAULT_NETWORK,)
        return tuple(self.network(desired, str(item["name"])) for item in written)

    def wiring(self, key: Key) -> Wiring | None:
        """What attachments to the live network of that key must say once its own plan is done; None when there is no
        such network.
        """
        if key not in self._wirings:
            entry = self.view.live.get(key)
            self._wirings[key] = _wiring(entry) if entry is not None else None
        return self._wirings[key]

    def rewired(self, desired: Desired, observed: ContainerObserved) -> bool:
        """Whether the container's attachments no longer are those of its networks. A network that is not there
        changes nothing.
        """
        wanted = [self.wiring(key) for key in self.networks(desired)]
        if None in wanted:
            return False
        attached = observed.attachments
        if len(attached) != len(wanted):
            return True
        return any(
            wiring is not None
            and (
                at.network_uid != wiring.uid
                or (wiring.gateway and (at.gateway, at.prefix) != (wiring.gateway, wiring.prefix))
            )
            for at, wiring in zip(attached, wanted, strict=True)
        )

    def containers(self, terminating: bool) -> list[tuple[Entry, ContainerObserved]]:
        """All live (or terminating) containers by key, with what was observed of them."""
        entries = self._terminating() if terminating else self.view.live.values()
        found = [entry for entry in entries if entry.desired.key.kind == kinds.CONTAINER.name]
        found.sort(key=lambda entry: (entry.desired.key, entry.desired.uid))
        return [(entry, container_observed(entry)) for entry in found]

    def images(self) -> Iterator[Entry]:
        return (entry for key, entry in self.view.live.items() if key.kind == kinds.IMAGE.name)

    def _terminating(self) -> Iterator[Entry]:
        return (entry for entries in self.view.terminating.values() for entry in entries)


def container_observed(entry: Entry) -> ContainerObserved:
    return entry.observed if isinstance(entry.observed, ContainerObserved) else ContainerObserved()


def network_observed(entry: Entry) -> NetworkObserved:
    return entry.observed if isinstance(entry.observed, NetworkObserved) else NetworkObserved()


def _wiring(entry: Entry) -> Wiring:
    uid, observed = entry.desired.uid, network_observed(entry)
    if not observed.created or not observed.subnet:
        return Wiring(uid)
    subnet, gateway = observed.subnet, observed.gateway
    for change in changes.changes(observed, entry.desired):
        if change.path == "spec.subnet":
            subnet = str(change.new)
        elif change.path == "spec.gateway":
            gateway = str(change.new)
    if subnet != observed.subnet and gateway == observed.gateway:
        gateway = changes.first_host(subnet)
    return Wiring(uid, gateway, int(subnet.rpartition("/")[2]))
