"""A source of manifests that is no directory: files, time and what is in force are plain values."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Mapping

import msgspec

from reconciler.control.sources.ledger import facts
from reconciler.control.sources.ledger.ledger import Ledger
from reconciler.model.keys import Key
from reconciler.model.objects import Desired, Document, Owner
from reconciler.model.view import Moment

NAME = "dir:/m"
ROOT = facts.Root(device=1, inode=1, mount=1, filesystem=1, boot_id="boot")


def manifests(*names: str, image: str = "a") -> str:
    """One container for each name."""
    return "".join(
        f"---\n{{apiVersion: pydock.dev/v1, kind: Container, metadata: {{name: {name}}}, spec: {{image: {image}}}}}\n"
        for name in names
    )


def key(name: str) -> Key:
    return Key.of("Container", name)


class FakeWorld:
    """Files by path, a clock, and what is in force; ``look`` carries decisions out at once, ``restart`` forgets all but
    what is remembered."""

    def __init__(self) -> None:
        self.mono, self.wall, self.boot_id = 1000.0, 1_000_000.0, "boot"
        self.root: facts.Root | None = ROOT
        self.texts: dict[str, tuple[str, float]] = {}
        self.troubles: dict[str, str] = {}
        #: files whose times are not those of ``texts``
        self.ages: dict[str, tuple[int, int]] = {}
        self.unreadable: dict[str, str] = {}
        self.mounts: dict[str, int] = {}
        self.in_force: dict[Key, facts.Holding] = {}
        self.documents: dict[Key, Document] = {}
        self.foreign: dict[Key, Owner] = {}
        #: annotations of the objects of others
        self.marks: dict[str, str] = {}
        #: files that a program has open for writing
        self.busy: set[str] = set()
        self.memory = facts.Memory()
        self.recorded: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.removed: list[str] = []
        self.contested: list[str] = []
        self.remarks: facts.Remarks = ()
        self.decisions = facts.Decisions()
        self.patience = facts.Patience()
        self._made = 0
        self.ledger = Ledger(NAME, self.memory, self.recorded, self.patience)

    # --- the disk

    def write(self, path: str, text: str) -> None:
        """Changes a file now."""
        self.texts[path] = (text, self.wall)

    def move(self, path: str, to: str) -> None:
        self.texts[to] = (self.texts.pop(path)[0], self.wall)

    def delete(self, *paths: str) -> None:
        for path in paths:
            del self.texts[path]

    def scan(self) -> facts.Scan:
        if self.root is None:
            return facts.Scan(None, "no such directory")
        seen = {path: self._seen(path) for path in sorted(self.texts)}
        return facts.Scan(self.root, "", seen, dict(self.unreadable), dict(self.mounts), ("/m",))

    def _seen(self, path: str) -> facts.Seen:
        at = int(self.texts[path][1] * 1e9)
        return facts.Seen(self._signature(path), self.troubles.get(path, ""), at / 1e9, self.ages.get(path, (at, at)))

    def _signature(self, path: str) -> facts.Signature:
        text, at = self.texts[path]
        return path, len(text), at

    # --- time

    def after(self, seconds: float) -> None:
        """Lets time pass, with a look at its end."""
        self.mono += seconds
        self.wall += seconds
        self.look()

    def settle(self) -> None:
        """Looks whenever time asks for it, until nothing is due."""
        self.look()
        for _ in range(100):
            if self.decisions.again_at is None:
                return
            self.after(max(0.0, self.decisions.again_at - self.mono))
        raise AssertionError("never settles")

    def now(self) -> Moment:
        return Moment(self.mono, self.wall, self.boot_id)

    # --- the daemon

    def look(self) -> None:
        self._carry_out(self.ledger.look(self.now(), self.scan(), dict(self.in_force), self.read, self.live))

    def read(self, path: str, signature: facts.Signature) -> facts.Content:
        if self._signature(path) != signature:
            return facts.Content(None)
        busy = path in self.busy
        return facts.Content(None if busy else self.texts[path][0].encode(), busy)

    def live(self, wanted: Key) -> Desired | None:
        if wanted in self.foreign:
            return _desired(Document(wanted, {}, self.marks, {}), "foreign", self.foreign[wanted])
        held = self.in_force.get(wanted)
        return _desired(self.documents[wanted], held.uid, Owner(NAME, held.item)) if held else None

    def acknowledge(self, digest: str) -> None:
        self._carry_out(self.ledger.acknowledge(digest, dict(self.in_force)))

    def restart(self) -> None:
        """A new process."""
        raw = msgspec.json.decode(msgspec.json.encode(self.memory))
        self.ledger = Ledger(NAME, msgspec.convert(raw, facts.Memory), self.recorded, self.patience)

    def _carry_out(self, decisions: facts.Decisions) -> None:
        self.decisions = decisions
        for put in decisions.puts:
            self.recorded[put.path] = (put.digest, put.problems)
            for document in put.documents:
                self._put(document, put.path)
        for removal in decisions.removals:
            self.removed.append(removal.key.name)
            assert self.in_force.pop(removal.key).uid == removal.uid
        for path in decisions.forget:
            del self.recorded[path]
        if decisions.memory is not None:
            self.memory = decisions.memory
        self.remarks = self.ledger.remarks(self.now(), self.in_force)
        for remarked, remark in self.remarks:
            self.in_force[remarked] = self.in_force[remarked]._replace(remark=remark)
        self.contested += [message for _, message in decisions.contested]

    def _put(self, document: Document, path: str) -> None:
        held = self.in_force.get(document.key)
        self.foreign.pop(document.key, None)
        if held is None:
            self._made += 1
            held = facts.Holding(f"uid{self._made}", path, self.wall)
        self.in_force[document.key] = held._replace(item=path)
        self.documents[document.key] = document

    # --- what tests ask

    def names(self) -> str:
        return " ".join(sorted(each.name for each in self.in_force))

    def uid(self, name: str) -> str:
        return self.in_force[key(name)].uid

    def item(self, name: str) -> str:
        return self.in_force[key(name)].item

    def problems(self, path: str) -> str:
        return "\n".join(self.ledger.files.by_path[path].problems)

    def state(self, path: str) -> tuple[str, str]:
        """``busy``, ``pending`` or ``read``, and what the file is suspected of."""
        file = self.ledger.files.by_path[path]
        return ("busy" if file.busy_since is not None else "pending" if file.unread else "read"), file.suspicion

    def image(self, name: str) -> str:
        return str(self.documents[key(name)].spec["image"])

    def remark(self, name: str) -> str:
        """Reason and message of the object's condition; empty if it has none."""
        remark = self.in_force[key(name)].remark
        return ": ".join(remark) if remark else ""

    def held(self) -> str:
        return " ".join(sorted(each.rpartition("/")[2] for each in self.memory.held))


class CommitSource:
    """A source of another kind, as a Git repository would be one: its files change all at once, and are complete.

    ``commit`` replaces them from any thread; signatures are digests of the content.
    """

    patience = facts.Patience(0, 0, 0, 0)

    def __init__(self, place: str) -> None:
        self.place, self.name = place, f"commit:{place}"
        self.files: dict[str, bytes] = {}
        self._changed = threading.Event()

    def commit(self, files: Mapping[str, str]) -> None:
        self.files = {path: text.encode() for path, text in files.items()}
        self._changed.set()

    def scan(self) -> facts.Scan:
        return facts.Scan(ROOT, "", {path: facts.Seen(self._id(path)) for path in self.files})

    def read(self, path: str, expected: facts.Signature) -> facts.Content:
        return facts.Content(self.files[path] if path in self.files and self._id(path) == expected else None)

    def writers(self, paths: Collection[str]) -> Mapping[str, str]:
        return {}

    def open(self) -> None: ...

    def drain(self) -> None:
        self._changed.clear()

    def wait(self, seconds: float) -> bool:
        return self._changed.wait(max(0.0, seconds))

    def wake(self) -> None:
        self._changed.set()

    def close(self) -> None: ...

    def _id(self, path: str) -> str:
        return hashlib.sha256(self.files[path]).hexdigest()


def _desired(document: Document, uid: str, owner: Owner) -> Desired:
    return Desired(document.key, uid, 1, 1, 0.0, document.labels, document.annotations, document.spec, owner)
