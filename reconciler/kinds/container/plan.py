"""The plan of one container."""

from __future__ import annotations

from typing import Any

from reconciler.kinds.base import retry
from reconciler.kinds.base.context import Context, Outcome
from reconciler.kinds.base.sequence import Sequence
from reconciler.kinds.container import changes, gates, restarts, runs
from reconciler.kinds.container.observed import ContainerObserved, Incarnation
from reconciler.kinds.container.tasks import Create, Kill, Remove, Repair, Resume, Start, Update
from reconciler.kinds.image import keepers, refresh
from reconciler.kinds.network.wiring import networks, wiring
from reconciler.model import platforms, signals
from reconciler.model.objects import Desired
from reconciler.model.plan import FieldChange
from reconciler.model.view import Entry, ImageFacts

_ALIVE = ("created", "running")
#: what a start may find
_STARTABLE = ["absent", "created", "exited"]


def plan(context: Context, entry: Entry) -> Outcome:
    case = _Case(context, entry)
    if entry.desired.deleting_at is not None:
        case.removal()
    elif entry.desired.override.stopped:
        case.halt()
    else:
        case.upkeep()
    return case.sequence.outcome()


def agrees(context: Context, entry: Entry) -> bool:
    """Whether nothing is to be done for a live container that runs; may say no where planning finds nothing either."""
    desired, observed = entry.desired, entry.observed
    if not isinstance(observed, ContainerObserved) or observed.process != "running":
        return False
    if observed.drift or observed.stop_mono:
        return False
    made, override = observed.incarnation, desired.override
    return (
        made is not None
        and made.written == desired.spec
        and made.labels == desired.labels
        and observed.boot_id == context.now.boot_id
        and not override.stopped
        and override.restart <= observed.restart
        and not _rewired(context, desired, observed)
        and _follower(context, made) is None
    )


class _Case:
    """One container's planning: what it is to be is decided top down, each decision adding steps or waits to
    ``sequence``.
    """

    def __init__(self, context: Context, entry: Entry) -> None:
        self.sequence = Sequence(context, entry)
        self._context, self._entry, self._desired = context, entry, entry.desired
        self._observed = runs.this_boot(runs.observed_of(entry), context.now)
        self._made = self._observed.incarnation

    def removal(self) -> None:
        made, cause = self._made, "it is being deleted"
        if made is not None and self._alive and not self._stop(made, cause):
            return
        task = Remove(incarnation=made.id if made else "", final=True)
        self.sequence.add(task, cause, loses_data=made is not None)

    def halt(self) -> None:
        """Stopped by hand: changes wait until it is started."""
        name, made = self._desired.key.name, self._made
        if made is not None and self._alive:
            self._stop(made, "it was stopped by hand")
        if made is not None and changes.changes(made, self._desired):
            self.sequence.warn(f"{self._desired.key} was stopped by hand: its changes take effect when it is started")
        self.sequence.wait("Stopped", f"stopped by hand: `pydock start {name}` starts it")

    def upkeep(self) -> None:
        made = self._made
        if made is None:
            self._make("there is no container yet")
            return
        diff = changes.changes(made, self._desired)
        if any(not change.in_place for change in diff):
            self._make_anew(made, "its spec has changed", diff)
        elif _rewired(self._context, self._desired, self._observed):
            self._make_anew(made, "its networks have changed", diff)
        elif (keeper := _follower(self._context, made)) is not None:
            self._make_anew(made, _followed(keeper), (*diff, self._moved(made)))
        else:
            self._update(made, diff)
            self._process(made)

    @property
    def _alive(self) -> bool:
        return self._observed.process in _ALIVE

    def _make(self, cause: str) -> None:
        held = gates.gates(self._context, self._entry)
        if held.circle or self._image():
            self._create(held, cause)
        self.sequence.waits(held.waits)

    def _make_anew(self, made: Incarnation, cause: str, diff: tuple[FieldChange, ...]) -> None:
        """The old incarnation goes on until image, networks and dependencies of the new one are at hand."""
        held = gates.gates(self._context, self._entry)
        if held.circle or not self._image():
            self.sequence.waits(held.circle)
            return
        self.sequence.waits(held.waits)
        if self._alive and held.waits and not gates.in_the_way(self._context, self._entry, self._observed, held.wiring):
            return
        after = () if held.keep_from_creating else held.after
        if self._alive and not self._stop(made, cause, after=after, diff=diff, restarts=True):
            return
        self.sequence.add(
            Remove(incarnation=made.id, final=False), cause, diff=() if self._alive else diff,
            relies={"incarnation": made.id}, loses_data=True,
        )  # fmt: skip
        self._create(held, cause)

    def _create(self, held: gates.Gates, cause: str) -> None:
        """As far as ``held`` lets it come: what it waits for its turn with is made already."""
        if held.keep_from_creating:
            return
        facts = self._context.image(str(self._desired.spec["image"]))
        task = Create(image=facts.image_id if facts is not None else "")
        before = (*held.name.after, *held.wiring.after)
        self.sequence.add(task, cause, after=before, relies={"incarnation": ""})
        if not held.waits:
            self.sequence.add(Start(counts=False), cause, after=held.after, relies={"process": _STARTABLE})

    def _moved(self, made: Incarnation) -> FieldChange:
        facts = self._context.image(made.effective.image)
        digest = facts.digest if facts is not None else ""
        return FieldChange(path="status.imageDigest", old=made.image_digest, new=digest, in_place=False)

    def _image(self) -> bool:
        """Whether the image is here or comes with the plan."""
        context = self._context
        reference = context.reference(str(self._desired.spec["image"]))
        facts, keeper = context.view.images.get(reference), keepers.keeper(context, reference)
        if self._foreign(reference, facts, keeper):
            return False
        if facts is not None:
            self._ask_anew(reference, facts)
            return True
        if refresh.policy(self._desired) == "Never":
            self._never(reference, keeper)
            return False
        if keeper is not None and retry.held_back(keeper, "pull", context.now):
            observed = keeper.observed
            assert observed is not None
            self.sequence.wait("ImagePullBackOff", observed.error, (keeper.desired.key,), observed.retry_mono)
            return False
        self._pull(reference)
        return True

    def _foreign(self, reference: str, facts: ImageFacts | None, keeper: Entry | None) -> bool:
        """Whether the image is made for other machines, and will be: nothing here could run it."""
        host = self._context.view.platform
        wanted = str(keeper.desired.spec.get("platform") or "") if keeper is not None else ""
        if keeper is not None and not platforms.same_machine(wanted, host):
            message = f"{keeper.desired.key} keeps {reference} for {wanted}, and this host runs {host}"
            self.sequence.wait("ForeignPlatform", message, (keeper.desired.key,))
            return True
        if facts is None or platforms.same_machine(facts.platform, host):
            return False
        if keeper is not None:
            self.sequence.wait("Pulling", f"{reference} is still the one for {facts.platform}", (keeper.desired.key,))
        elif refresh.policy(self._desired) == "Never":
            self.sequence.wait("ForeignPlatform", f"{reference} is for {facts.platform}, and this host runs {host}")
        else:
            cause = f"the image {reference} that is here is for {facts.platform}, and this host runs {host}"
            self._pull(reference, cause, facts.digest)
            return False
        return True

    def _ask_anew(self, reference: str, facts: ImageFacts) -> None:
        """For each new incarnation, if the policy says so: what the registry has under the reference is pulled."""
        policy, observed = refresh.policy(self._desired), self._observed
        if not refresh.asks_anew(self._desired, reference):
            return
        soft = policy == "Newer"
        if observed.asked != self._desired.generation:
            if not (soft and self.sequence.again_after_failure("check")):
                cause = f"its imagePullPolicy is {policy}, and it is about to be created"
                keepers.check(self._context, self.sequence, reference, cause)
        elif refresh.moved(facts, observed.latest) and not (soft and self.sequence.again_after_failure("pull")):
            then = facts.index_digest or facts.digest
            self._pull(reference, f"its tag has moved from {then} to {observed.latest}", facts.digest, own=True)

    def _pull(self, reference: str, cause: str = "", replaces: str = "", *, own: bool = False) -> None:
        keepers.pull(self._context, self._entry, self.sequence, reference, cause, replaces, own=own)

    def _never(self, reference: str, keeper: Entry | None) -> None:
        if keeper is not None and refresh.policy(keeper.desired) != "Never":
            self.sequence.wait("ImageNotReady", f"{reference} comes with {keeper.desired.key}", (keeper.desired.key,))
        else:
            message = f"the image {reference} is not here, and imagePullPolicy is Never: pydock pull brings it"
            self.sequence.wait("ErrImageNeverPull", message)

    def _update(self, made: Incarnation, diff: tuple[FieldChange, ...]) -> None:
        if diff:
            fields = ", ".join(dict.fromkeys(_field(change) for change in diff))
            self.sequence.add(Update(), f"{fields} changed", diff=diff, relies={"incarnation": made.id})

    def _process(self, made: Incarnation) -> None:
        """Brings the process of an incarnation that stays to where it should be."""
        observed = self._observed
        asked = self._desired.override.restart > observed.restart
        if observed.process == "running":
            if asked:
                self._restart(made)
            elif observed.stop_mono:
                self.sequence.add(Resume(), "its stop was taken back", relies={"incarnation": made.id})
            elif observed.drift:
                self._repair(made)
        elif observed.process == "created":
            # left half-way: a start that was due then is due now
            self._start(made, "it was created and not started", counts=observed.starts > 0)
        elif asked:
            self._start(made, "its restart was asked for")
        elif restarts.wants_start(self._desired, observed):
            if observed.starts:
                self._start_again(made)
            else:
                self._start(made, "it has not been started")

    def _start_again(self, made: Incarnation) -> None:
        observed = self._observed
        ended = restarts.exit_text(observed)
        if observed.next_start_mono <= self._context.now.mono:
            self._start(made, ended, counts=True)
            return
        pause = f"{runs.backoff(observed.failures):g} s later, after {observed.failures} exits in a row"
        self.sequence.wait("CrashLoopBackOff", f"{ended}; it is started again {pause}", until=observed.next_start_mono)

    def _restart(self, made: Incarnation) -> None:
        held = gates.gates(self._context, self._entry)
        self.sequence.waits(held.waits)
        if not held.waits:
            cause = "its restart was asked for"
            if self._stop(made, cause, after=held.after, restarts=True):
                self._start(made, cause)

    def _start(self, made: Incarnation, cause: str, counts: bool = False) -> None:
        held = gates.gates(self._context, self._entry)
        self.sequence.waits(held.waits)
        if not held.waits:
            relies = {"incarnation": made.id, "process": _STARTABLE}
            self.sequence.add(Start(counts=counts), cause, after=held.after, relies=relies)

    def _repair(self, made: Incarnation) -> None:
        """Only of what runs: a start makes sure of everything anyway."""
        facets = tuple(sorted(self._observed.drift))
        after = gates.wiring(self._context, self._entry).after
        relies = {"incarnation": made.id, "process": ["running"]}
        cause = "missing or altered: " + ", ".join(facets)
        self.sequence.add(Repair(facets=facets), cause, after=after, relies=relies)

    def _stop(self, made: Incarnation, cause: str, **more: Any) -> bool:
        """Whether the process has ended once the steps so far are done: while its grace period lasts, what follows
        waits."""
        task = restarts.stop(self._desired, made, self._context.image(made.effective.image))
        observed, relies = self._observed, {"incarnation": made.id, "process": list(_ALIVE)}
        until = observed.stop_mono + task.grace
        if not observed.stop_sent or observed.process == "created":
            self.sequence.add(task, cause, relies=relies, **more)
        elif until <= self._context.now.mono:
            over = f"{cause}, and it has not ended {task.grace:g} s after {signals.name(task.signal)}"
            self.sequence.add(Kill(), over, relies=relies, **more)
        else:
            message = f"{cause}: {signals.name(task.signal)} was sent, SIGKILL follows {task.grace:g} s after it"
            self.sequence.wait("Stopping", message, until=until)
            return False
        return True


def _field(change: FieldChange) -> str:
    """The top-level field that a changed path belongs to."""
    parts = change.path.replace("[", ".").split(".")
    return "labels" if parts[0] == "metadata" else parts[1]


def _followed(keeper: Entry) -> str:
    wanted = refresh.range_of(keeper.desired)
    if wanted:
        return f"{keeper.desired.key} follows the versions {wanted}, and has another one"
    return f"{keeper.desired.key} follows its tag, which has moved"


def _follower(context: Context, made: Incarnation) -> Entry | None:
    """The Image object that went after its tag, so that the incarnation's reference means another image now."""
    reference = context.reference(made.effective.image)
    facts = context.view.images.get(reference)
    if facts is None or facts.image_id == made.image_id:
        return None
    keeper = keepers.keeper(context, reference)
    return keeper if keeper is not None and refresh.follows(keeper.desired) else None


def _rewired(context: Context, desired: Desired, observed: ContainerObserved) -> bool:
    """Whether the container's attachments no longer are those of its networks. A network that is not there changes
    nothing.
    """
    wanted = [wiring(context, key) for key in networks(context, desired)]
    if None in wanted:
        return False
    attached = observed.attachments
    if len(attached) != len(wanted):
        return True
    return any(
        wired is not None
        and (
            at.network_uid != wired.uid or (wired.gateway and (at.gateway, at.prefix) != (wired.gateway, wired.prefix))
        )
        for at, wired in zip(attached, wanted, strict=True)
    )
