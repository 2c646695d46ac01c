"""What the store promises, room by room. ``reconciler.store.open_store(path)`` returns a ``Store``.

Reads happen in ``snapshot()``, writes in ``transaction()``; both give a ``Session`` whose repositories see one
consistent state. One writer at a time; a transaction is atomic and, unless ``durable=False`` (records that a power cut
may take: journal, observed state), synced to disk before it returns. Each repository method that changes an object
takes the next global revision, writes the ``changes`` row, and returns what is now true; a write that changes nothing
takes no revision and writes no row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, NamedTuple, Protocol

from reconciler.model.jobs import Change, EventRecord, JobRecord, JobStatus
from reconciler.model.keys import Key
from reconciler.model.objects import Desired, Override, Owner, SourceNote
from reconciler.model.observed import Observed
from reconciler.model.view import Entry, ImageFacts


class Place(NamedTuple):
    """Where an object stands among those of its kind."""

    namespace: str
    name: str
    uid: str


#: before every object
FIRST = Place("", "", "")


class Objects(Protocol):
    """Desired state by uid."""

    def get(self, uid: str) -> Desired | None: ...

    def live(self, key: Key) -> Desired | None:
        """The object of that name that is not terminating."""

    def find(self, kind: str = "", namespace: str = "", source: str = "", item: str = "") -> list[Desired]:
        """Objects that match all given values, also terminating ones, ordered by kind, namespace, name."""

    def some(self, kind: str) -> bool:
        """Whether there is any object of that kind, also a terminating one."""

    def naming(self, texts: Iterable[str]) -> list[Key]:
        """Live objects whose spec names an image by one of ``texts``, as it is written there. An index answers; no body
        is read."""

    def create(
        self,
        key: Key,
        labels: dict[str, str],
        annotations: dict[str, str],
        spec: dict[str, Any],
        owner: Owner,
        now: float,
    ) -> Desired:
        """Raises ``Conflict`` naming the owner if a live object has that key. If the kind says so, an object that is
        being deleted, and of which nothing was removed yet, is revived: it keeps its uid and all that it has."""

    def replace(
        self, uid: str, labels: dict[str, str], annotations: dict[str, str], spec: dict[str, Any], owner: Owner
    ) -> Desired:
        """``generation`` grows when ``spec`` differs. A new owner alone is a change too (of the metadata). If the new
        owner is of another source, the note is removed."""

    def set_override(self, uid: str, override: Override) -> Desired: ...

    def set_note(self, uid: str, note: SourceNote | None) -> Desired:
        """Sets what the condition ``Source`` says. Spec and generation stay as they are."""

    def mark_deleting(self, uid: str, now: float, grace: float | None = None) -> Desired:
        """Marks the object as terminating; its name is free from then on. ``grace`` is the number of seconds that it
        gets to stop, in place of the spec's. A terminating object is changed only by a shorter
        ``grace`` than it has."""

    def purge(self, uid: str) -> None:
        """Removes the object, with its observed state, overrides, managers and leases. The last change is DELETED with
        its last state. Has no effect for an unknown uid."""

    def applied(self, uid: str) -> dict[str, dict[str, Any]]:
        """What each API manager last applied: manager → ``{"labels", "annotations", "spec"}``."""

    def set_applied(self, uid: str, manager: str, document: dict[str, Any] | None) -> None: ...


class ObservedStates(Protocol):
    def get(self, uid: str) -> Observed | None: ...

    def put(self, uid: str, observed: Observed) -> None:
        """Takes a revision only if the object changes as the API shows it, not for bookkeeping."""


class Changes(Protocol):
    def latest(self) -> int:
        """The present global revision (0 in an empty store)."""

    def oldest(self) -> int:
        """The lowest revision from which a watch can start: every change after it is kept."""

    def since(self, revision: int, limit: int = 1000) -> list[Change]:
        """Changes after ``revision``, oldest first. Raises ``Expired`` if some were compacted."""

    def last(self, uids: Iterable[str], until: int) -> dict[str, Change]:
        """The last change of each of these objects up to the revision ``until``. Objects without one, or whose changes
        were compacted, are left out. Reads the table once, for any number of objects."""

    def compact(self, keep: int) -> int:
        """Removes all but the ``keep`` newest; returns how many were removed."""


class Journal(Protocol):
    def begin(self, name: str, key: str, uid: str, cause: str, attempt: int, now: float, caller: str = "") -> int:
        """The row's number; 0 when there is none, for want of room on the disk."""

    def end(self, id: int, status: JobStatus, now: float, error: str = "", output: str = "") -> None:
        """Long texts of ``error`` and ``output`` are cut."""

    def interrupt_running(self, now: float) -> list[JobRecord]:
        """At start: marks what was running as interrupted and returns those."""

    def find(self, key: str = "", limit: int = 100) -> list[JobRecord]:
        """Newest first."""

    def trim(self, keep: int) -> int: ...


class Events(Protocol):
    def record(
        self, key: str, uid: str, type: Literal["Normal", "Warning"], reason: str, message: str, now: float
    ) -> None:
        """If the same uid had the same reason and message within the last hour, the count grows and no row is added."""

    def find(self, key: str = "", limit: int = 500) -> list[EventRecord]:
        """The newest ``limit``, oldest first."""

    def trim(self, keep: int) -> int:
        """Keeps ``keep`` events. Every object keeps its newest events before any object keeps older ones, and objects
        that exist come before those that are gone. So a flood of events about some objects does not remove those of
        others."""


class Leases(Protocol):
    """Subnets of networks and addresses in them."""

    def subnet(self, network_uid: str) -> str | None: ...

    def subnets(self) -> dict[str, str]: ...

    def take_subnet(self, network_uid: str, subnet: str) -> None: ...

    def address(self, network_uid: str, owner_uid: str, subnet: str, gateway: str) -> str:
        """The owner's address in the network, leased if it is new: of the free ones, the one that was used least
        recently. Raises ``Temporary`` when the subnet is full. A lease outside ``subnet`` (it was changed) is
        replaced."""

    def addresses(self, owner_uid: str) -> dict[str, str]:
        """network uid → address"""

    def release(self, owner_uid: str, network_uid: str = "") -> None:
        """All of a container's leases (or the one in ``network_uid``); also a network's subnet when ``owner_uid`` is a
        network's."""

    def all(self) -> list[tuple[str, str, str]]:
        """(network uid, owner uid, address)"""


class Images(Protocol):
    """The relations of the graph: which reference means which image, of which layers."""

    def put(self, facts: ImageFacts, blobs: Sequence[str], chain: Sequence[str]) -> None:
        """``blobs``: digests of manifest(s), config and layers; ``chain``: chain ids, bottom first. If the reference is
        the digest, the image gets no reference. An image that loses its last reference to another image stays under its
        digest until that is removed: containers may use it.
        """

    def tag(self, reference: str, digest: str) -> None:
        """Makes ``reference`` mean an image that is here. For the image that it meant before, see ``put``."""

    def get(self, reference: str) -> ImageFacts | None: ...

    def by_id(self, image_id: str) -> ImageFacts | None: ...

    def all(self) -> list[ImageFacts]: ...

    def chain(self, image_id: str) -> tuple[str, ...]: ...

    def remove(self, reference: str) -> tuple[list[str], list[str]]:
        """Forgets the reference; returns blobs and chain ids (top first) that no other image uses."""

    def needed(self) -> tuple[frozenset[str], frozenset[str]]:
        """Blobs and chain ids of all images."""


class Relations(Protocol):
    """Who uses which image, and what its parts take on disk. Images are named by their manifest's digest here."""

    def named(self) -> dict[str, list[Key]]:
        """Reference, as the spec has it → the live objects that name it."""

    def made(self) -> dict[str, list[Key]]:
        """Image id → the containers that were made from it, also those being removed."""

    def chains(self) -> dict[str, list[str]]:
        """Digest → chain ids, bottom first; an image without layers is not in it."""

    def blobs(self) -> dict[str, list[str]]:
        """Digest → manifest, configuration and compressed layers."""

    def used_at(self) -> dict[str, float]:
        """Digest → when the image was last known to be used or pulled (Unix seconds), 0 for not known."""

    def note_use(self, digests: Iterable[str], now: float) -> None: ...

    def sizes(self, part: Literal["layer", "blob"]) -> dict[str, int]:
        """Name → bytes on disk, of those that were measured."""

    def measured(self, part: Literal["layer", "blob"], sizes: Mapping[str, int]) -> None:
        """Records sizes, and forgets those of parts that no image has any more."""


class Refs(Protocol):
    """Who refers to whom (``model.refs``). Recorded by the store itself, with each change of an object."""

    def to(self, target: str) -> list[Key]:
        """The objects that refer to ``target``, by their spec or by their present state, also those being removed."""

    def live_to(self, target: str, role: str) -> list[Key]:
        """Live objects whose reference has that role, by key."""

    def some(self, target: str) -> bool:
        """Whether any object refers to it."""

    def rebuild(self) -> None:
        """Finds all references anew."""


class SourceFile(Protocol):
    """A row of ``files``: the last good version is what is in force; ``problems`` say why the present one is not."""

    path: str
    digest: str
    problems: tuple[str, ...]


class SourceStates(Protocol):
    """What a source remembers: its files, and one small document of its own (guards, acknowledgements, root's
    identity)."""

    def files(self, source: str) -> dict[str, tuple[str, tuple[str, ...]]]:
        """path → (digest of the last content looked at, problems)"""

    def put_file(self, source: str, path: str, digest: str, problems: Sequence[str]) -> None: ...

    def remove_file(self, source: str, path: str) -> None: ...

    def memory(self, source: str) -> dict[str, Any]: ...

    def remember(self, source: str, memory: dict[str, Any]) -> None: ...


class Facts(Protocol):
    """Small facts about the instance by name (what a driver switched on, the boot it saw)."""

    def get(self, name: str) -> Any: ...

    def put(self, name: str, value: Any) -> None: ...


class Session(Protocol):
    objects: Objects
    observed: ObservedStates
    changes: Changes
    journal: Journal
    events: Events
    leases: Leases
    images: Images
    relations: Relations
    refs: Refs
    sources: SourceStates
    facts: Facts
    short: bool
    """The disk is all but full: events and the journal are not written, and what can be done without, should not be."""

    def entries(self, keys: Iterable[Key] | None = None) -> list[Entry]:
        """Desired and observed state of the given keys, or of all, live and terminating. One query each, fast enough
        for 10,000."""

    def pages(self, kind: str, namespace: str = "", after: Place = FIRST) -> Iterator[list[Entry]]:
        """The objects of one kind (in one namespace, if given) behind ``after``, sorted by namespace, name and uid;
        read page by page while the session lasts, so that few are in memory at once."""

    def rendered(self, uid: str) -> dict[str, Any]:
        """The object as the API shows it. Raises ``NotFound``."""


class Store(Protocol):
    def snapshot(self) -> AbstractContextManager[Session]: ...

    def transaction(self, durable: bool = True) -> AbstractContextManager[Session]: ...

    def on_change(self, callback: Callable[[int], None]) -> Callable[[], None]:
        """``callback(latest revision)`` after each commit that took one (in the writer's thread: must not block).
        Call what is returned to end it: after that the callback never runs."""

    def checkpoint(self) -> None: ...

    def close(self) -> None: ...
