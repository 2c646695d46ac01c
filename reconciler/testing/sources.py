"""A directory of manifests that is no directory: files, time and what is in force are plain values."""

from __future__ import annotations

import msgspec

from reconciler.control.sources import facts
from reconciler.control.sources.directory import Directory
from reconciler.model.keys import Key
from reconciler.model.objects import Owner
from reconciler.model.view import Moment

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
        self.unreadable: dict[str, str] = {}
        self.mounts: dict[str, int] = {}
        self.in_force: dict[Key, facts.Holding] = {}
        self.images: dict[Key, str] = {}
        self.foreign: dict[Key, Owner] = {}
        self.memory = facts.Memory()
        self.recorded: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.removed: list[str] = []
        self.decisions = facts.Decisions()
        self._made = 0
        self.directory = Directory(self.memory, self.recorded)

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
        seen = {path: facts.Seen(self._signature(path), self.troubles.get(path, "")) for path in sorted(self.texts)}
        return facts.Scan(self.root, "", seen, dict(self.unreadable), dict(self.mounts), ("/m",))

    def _signature(self, path: str) -> facts.Signature:
        text, at = self.texts[path]
        return facts.Signature(1, hash(path), len(text), int(at * 1e9), int(at * 1e9))

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
        read = lambda path, signature: self.texts[path][0].encode() if self._signature(path) == signature else None  # noqa: E731
        decisions = self.directory.look(self.now(), self.scan(), dict(self.in_force), read, self.foreign.get)
        self._carry_out(decisions)

    def acknowledge(self, digest: str) -> None:
        self._carry_out(self.directory.acknowledge(digest, dict(self.in_force)))

    def restart(self) -> None:
        """A new process."""
        raw = msgspec.json.decode(msgspec.json.encode(self.memory))
        self.directory = Directory(msgspec.convert(raw, facts.Memory), self.recorded)

    def _carry_out(self, decisions: facts.Decisions) -> None:
        self.decisions = decisions
        for put in decisions.puts:
            self.recorded[put.path] = (put.digest, put.problems)
            for document in put.documents:
                self._put(document.key, put.path, document.spec["image"])
        for removal in decisions.removals:
            self.removed.append(removal.key.name)
            assert self.in_force.pop(removal.key).uid == removal.uid
        for path in decisions.forget:
            del self.recorded[path]
        if decisions.memory is not None:
            self.memory = decisions.memory

    def _put(self, put: Key, path: str, image: str) -> None:
        held = self.in_force.get(put)
        if held is None:
            self._made += 1
        self.in_force[put] = held._replace(item=path) if held else facts.Holding(f"uid{self._made}", path, self.wall)
        self.images[put] = image

    # --- what tests ask

    def names(self) -> str:
        return " ".join(sorted(each.name for each in self.in_force))

    def uid(self, name: str) -> str:
        return self.in_force[key(name)].uid

    def item(self, name: str) -> str:
        return self.in_force[key(name)].item

    def problems(self, path: str) -> str:
        return "\n".join(self.directory.files.by_path[path].problems)

    def held(self) -> str:
        return " ".join(sorted(each.rpartition("/")[2] for each in self.memory.held))
