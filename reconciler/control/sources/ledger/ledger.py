"""Decides what a source's manifests mean for what is in force. Pure: a look, the time, and what is in force come in as
values.

The rule compares levels: an object that is in force and that no file names is removed, once nothing speaks against that
any more: the file that held it has been quiet or gone for long enough, the source is the one it was, and the guard
allows it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from reconciler import errors
from reconciler.control.sources.ledger import facts, files, guard, reading, remarks
from reconciler.control.sources.ledger.reading import InForce, Live, Read
from reconciler.model.keys import Key
from reconciler.model.view import Moment

_UNTIL = "nothing is removed until that is acknowledged"


class Ledger:
    """The state of one source from look to look; made anew at each start from what the store remembers.

    ``name`` is the source's; ``recorded`` are the files known before: path → (digest, problems).
    """

    def __init__(
        self,
        name: str,
        memory: facts.Memory,
        recorded: Mapping[str, tuple[str, tuple[str, ...]]],
        patience: facts.Patience,
    ) -> None:
        self.memory = memory
        self.files = files.Files(patience)
        self.trouble = ""
        #: objects of others that a file waits for: key → the file's path. Replaced as a whole, so that any thread may
        #: read it at any time.
        self.wanted: Mapping[Key, str] = {}
        self._name = name
        self._recorded = dict(recorded)
        self._first = True
        self._scan = facts.Scan(None)

    def look(self, now: Moment, scan: facts.Scan, in_force: InForce, read: Read, live: Live) -> facts.Decisions:
        """What to do, given what is there. The caller carries all of it out, or else makes a new ``Ledger`` and looks
        again."""
        before, self._scan, self.trouble = self.memory, scan, scan.trouble
        if scan.root is None:
            self._hold(in_force, in_force, f"{scan.trouble}: {_UNTIL}")
            return facts.Decisions(memory=self._news(before))
        if self._first:
            self.files.seed({*self._recorded, *(holding.item for holding in in_force.values())}, now)
        self.files.see(scan, now)
        self._miss_lost(in_force)
        reader = reading.Reader(self._name, self.files, read, live)
        accepted = reader.settle(reader.read(now, in_force), in_force)
        contested = self._contested()
        puts = self._puts(accepted)
        unclaimed = self._unclaimed(in_force)
        removals = self._remove(now, in_force, unclaimed)
        forgotten = self._forget(now, in_force, {removal.key for removal in removals})
        self._first = False
        again_at = self._again_at(now, in_force, unclaimed)
        return facts.Decisions(puts, removals, contested, forgotten, self._news(before), again_at)

    def remarks(self, now: Moment, in_force: InForce) -> facts.Remarks:
        """The objects that have something else to say of their file, once the decisions of a look are carried out.
        While the whole place cannot be read, nothing is known of any file: the source says so, not each object."""
        if self.trouble:
            return ()
        return remarks.changed(self.files, in_force, self.memory, now)

    def acknowledge(self, digest: str, in_force: InForce) -> facts.Decisions:
        """Lets go exactly what ``digest`` names, and takes the source for what it is now. Raises ``errors.Conflict`` if
        something else is held by now."""
        if not self.memory.held or digest != self.digest:
            raise errors.Conflict("the set of objects held back has changed: look at it again with 'pydock source ls'")
        removals = tuple(
            facts.Removal(key, holding.uid, "the removal was acknowledged")
            for key, holding in sorted(in_force.items())
            if self.memory.held.get(str(key)) == holding.uid
        )
        self.memory = facts.Memory(root=self._scan.root, mounts=dict(self._scan.mounts))
        return facts.Decisions(removals=removals, memory=self.memory)

    def reject(self, path: str, owners: Mapping[Key, str]) -> None:
        """The store refused a put: another owner was faster."""
        file = self.files.by_path[path]
        reading.block(file, path, owners, foreign=True)
        file.claims = None

    @property
    def digest(self) -> str:
        """Names exactly the set that is held; empty if nothing is."""
        lines = "\n".join(f"{key} {uid}" for key, uid in sorted(self.memory.held.items()))
        return hashlib.sha256(lines.encode()).hexdigest()[:16] if lines else ""

    # --- putting

    def _miss_lost(self, in_force: InForce) -> None:
        """A file names what is not in force any more (somebody deleted it): its content is looked at again."""
        for file in self.files.by_path.values():
            if file.claims is not None and file.gone_since is None and not file.claims <= in_force.keys():
                file.read = None

    def _puts(self, accepted: Mapping[str, reading.Version]) -> tuple[facts.Put, ...]:
        puts = []
        for path, file in self.files.by_path.items():
            if file.trouble:
                file.problems, file.read = (f"{path}: {file.trouble}",), None
            if path in accepted:
                puts.append(facts.Put(path, file.digest, accepted[path].documents, ()))
            elif self._is_news(path, file):
                puts.append(facts.Put(path, file.digest, (), file.problems))
            else:
                continue
            self._recorded[path] = (file.digest, file.problems)
        return tuple(puts)

    def _is_news(self, path: str, file: files.File) -> bool:
        """Whether what is wrong with a file, or that it is empty, is not recorded yet."""
        known = (file.read is not None and not file.waits) or bool(file.trouble)
        return file.gone_since is None and known and self._recorded.get(path) != (file.digest, file.problems)

    def _contested(self) -> tuple[tuple[Key, str], ...]:
        """The refusals that are new, for the events of others' objects; and ``wanted`` anew."""
        refused = {
            path: file
            for path, file in self.files.by_path.items()
            if file.blocked and file.foreign and file.gone_since is None
        }
        self.wanted = {key: path for path, file in refused.items() for key in file.lost}
        return tuple(
            (key, f"{self._name}/{path} names it too and is refused: {owner} holds it")
            for path, file in refused.items()
            if self._is_news(path, file)
            for key, owner in file.lost.items()
        )

    # --- removing

    def _unclaimed(self, in_force: InForce) -> list[Key]:
        named = set().union(*reading.standing(self.files, in_force).values())
        return sorted(key for key in in_force if key not in named)

    def _remove(self, now: Moment, in_force: InForce, unclaimed: list[Key]) -> tuple[facts.Removal, ...]:
        self._release(in_force, unclaimed)
        for suspects, why in self._suspicions(in_force, unclaimed):
            self._hold(in_force, suspects, why)
        due = self._due(now, in_force, unclaimed)
        if self.memory.held:
            self._hold(in_force, due, self.memory.reason)
            return ()
        verdict = guard.judge(in_force, due, self.memory.removed, now)
        if verdict.holds:
            said = f"{verdict.gone} of {verdict.base} objects would go within {guard.WINDOW:.0f} s"
            self._hold(in_force, due, f"{said}: {_UNTIL}")
            return ()
        gone = [facts.Removed(now.boot_id, now.mono, str(key), guard.is_fresh(in_force[key], now)) for key in due]
        if gone or self.memory.removed:
            self._remember(removed=(*guard.within(self.memory.removed, now), *gone))
        return tuple(facts.Removal(key, in_force[key].uid, self._cause(in_force[key].item)) for key in due)

    def _due(self, now: Moment, in_force: InForce, unclaimed: list[Key]) -> list[Key]:
        """What no file names, and the file that did has been gone or quiet for long enough."""
        if not unclaimed or self.files.more(now):
            return []
        over = {item: self._is_over(item, now) for item in {in_force[key].item for key in unclaimed}}
        return [key for key in unclaimed if over[in_force[key].item]]

    def _is_over(self, item: str, now: Moment) -> bool:
        file = self.files.by_path.get(item)
        if file is None:
            return True
        if file.gone_since is not None:
            return file.gone(now, self.files.patience.gone)
        return not file.unread and not file.problems and not file.blocked and file.quiet(now, self.files.patience.loss)

    def _cause(self, item: str) -> str:
        file = self.files.by_path.get(item)
        return f"{item} is gone" if file is None or file.gone_since is not None else f"{item} no longer names it"

    # --- holding

    def _release(self, in_force: InForce, unclaimed: Iterable[Key]) -> None:
        """What came back, or is gone otherwise, is held no longer."""
        held = {str(key): in_force[key].uid for key in unclaimed if self.memory.held.get(str(key)) == in_force[key].uid}
        if held != self.memory.held:
            self._remember(held=held, reason=self.memory.reason if held else "")

    def _hold(self, in_force: InForce, keys: Iterable[Key], reason: str) -> None:
        held = {**self.memory.held, **{str(key): in_force[key].uid for key in keys}}
        if held != self.memory.held:
            self._remember(held=held, reason=self.memory.reason or reason)

    def _suspicions(self, in_force: InForce, unclaimed: list[Key]) -> list[tuple[list[Key], str]]:
        """What may be missing only because a mount is; what is not suspect is taken for the new state."""
        found: list[tuple[list[Key], str]] = []
        present, known = self._scan.root, self.memory.root
        if present is None:
            return found
        if known is not None and not present.same_mount(known):
            found.append((unclaimed, f"the directory is on another mount than before: {_UNTIL}"))
        if self._first and in_force and not self._scan.files:
            found.append((unclaimed, f"the directory was found empty at start: {_UNTIL}"))
        lost = {folder for folder, device in self.memory.mounts.items() if self._scan.mounts.get(folder) != device}
        below = [key for key in unclaimed if files.enclosing(in_force[key].item, lost)]
        if below:
            found.append((below, f"{', '.join(sorted(lost))} is no longer the mount it was: {_UNTIL}"))
        if not any(suspects for suspects, _ in found) and (known is None or not self.files.unsettled()):
            self._remember(root=present, mounts=dict(self._scan.mounts))
        return found

    def _remember(self, **changes: Any) -> None:
        self.memory = msgspec.structs.replace(self.memory, **changes)

    def _news(self, before: facts.Memory) -> facts.Memory | None:
        return self.memory if self.memory != before else None

    # --- afterwards

    def _forget(self, now: Moment, in_force: InForce, removed: set[Key]) -> tuple[str, ...]:
        """Files that are gone and hold nothing any more."""
        holders = {holding.item for key, holding in in_force.items() if key not in removed}
        gone = [
            path
            for path, file in self.files.by_path.items()
            if file.gone(now, self.files.patience.gone) and path not in holders
        ]
        for path in gone:
            del self.files.by_path[path]
        return tuple(path for path in gone if self._recorded.pop(path, None) is not None)

    def _again_at(self, now: Moment, in_force: InForce, unclaimed: list[Key]) -> float | None:
        if self.files.more(now):
            return now.mono
        dropped = {in_force[key].item for key in unclaimed}
        return files.together(self.files.deadlines(now, dropped))
