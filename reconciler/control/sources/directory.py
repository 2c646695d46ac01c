"""Decides what a directory's manifests mean for what is in force. Pure: a look, the time, and what is in force come in
as values.

The rule is one of levels: what is in force and named by no file is removed, once nothing speaks against it any more:
the file that held it is quiet or gone, no file waits to be read that may have taken it over, the directory is the one
it was, and the guard allows it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from reconciler import errors
from reconciler.control.sources import facts, files, guard, reading
from reconciler.control.sources.reading import Foreign, InForce, Read
from reconciler.model.keys import Key
from reconciler.model.view import Moment

_UNTIL = "nothing is removed until that is acknowledged"


class Directory:
    """The state of one source from look to look; made anew at each start from what the store remembers.

    ``recorded`` are the files known before: path → (digest, problems).
    """

    def __init__(self, memory: facts.Memory, recorded: Mapping[str, tuple[str, tuple[str, ...]]]) -> None:
        self.memory = memory
        self.files = files.Files()
        self.trouble = ""
        self._recorded = dict(recorded)
        self._first = True
        self._scan = facts.Scan(None)

    def look(self, now: Moment, scan: facts.Scan, in_force: InForce, read: Read, foreign: Foreign) -> facts.Decisions:
        """What to do, given what is there. The caller carries all of it out, or else makes a new ``Directory`` and
        looks again."""
        before, self._scan, self.trouble = self.memory, scan, scan.trouble
        if scan.root is None:
            self._hold(in_force, in_force, f"{scan.trouble}: {_UNTIL}")
            return facts.Decisions(memory=self._news(before))
        if self._first:
            self.files.seed({*self._recorded, *(holding.item for holding in in_force.values())}, now)
        self.files.see(scan, now)
        self._miss_lost(in_force)
        versions = reading.read(self.files, now, read)
        puts = self._puts(reading.settle(self.files, versions, in_force, foreign))
        unclaimed = self._unclaimed(in_force)
        removals = self._remove(now, in_force, unclaimed)
        forgotten = self._forget(now, in_force, {removal.key for removal in removals})
        self._first = False
        return facts.Decisions(puts, removals, forgotten, self._news(before), self._again_at(now, in_force, unclaimed))

    def acknowledge(self, digest: str, in_force: InForce) -> facts.Decisions:
        """Lets go exactly what ``digest`` names, and takes the directory for what it is now. Raises ``errors.Conflict``
        if something else is held by now."""
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
        """The store refused a put: somebody else was faster."""
        file = self.files.by_path[path]
        reading.block(file, path, owners)
        file.claims = None

    @property
    def digest(self) -> str:
        """Names exactly the set that is held; empty if nothing is."""
        lines = "\n".join(f"{key} {uid}" for key, uid in sorted(self.memory.held.items()))
        return hashlib.sha256(lines.encode()).hexdigest()[:16] if lines else ""

    @property
    def waits_for_others(self) -> bool:
        """Whether a file could take effect if an object of another source went."""
        return any(file.blocked for file in self.files.by_path.values())

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
            state = (file.digest, file.problems)
            if path in accepted:
                puts.append(facts.Put(path, file.digest, accepted[path].documents, ()))
            elif file.gone_since is None and (file.read or file.trouble) and self._recorded.get(path) != state:
                puts.append(facts.Put(path, file.digest, (), file.problems))
            else:
                continue
            self._recorded[path] = state
        return tuple(puts)

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
        """What nothing speaks for any more, and nothing can speak for soon."""
        if not unclaimed or self.files.ready(now):
            return []
        grace = files.MOVE_GRACE if self.files.unsettled() else files.QUIET
        over = {item: self._is_over(item, now, grace) for item in {in_force[key].item for key in unclaimed}}
        return [key for key in unclaimed if over[in_force[key].item]]

    def _is_over(self, item: str, now: Moment, grace: float) -> bool:
        file = self.files.by_path.get(item)
        if file is None:
            return True
        if file.gone_since is not None:
            return file.gone(now, grace)
        return not file.unread and not file.problems and file.quiet(now, files.PRUNE_QUIET)

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
        present = self._scan.root
        if present is None:
            return found
        if self.memory.root is not None and not present.same_mount(self.memory.root):
            found.append(
                (
                    unclaimed,
                    f"the directory is on another mount than before: {_UNTIL}",
                )
            )
        if self._first and in_force and not self._scan.files:
            found.append((unclaimed, f"the directory was found empty at start: {_UNTIL}"))
        lost = {folder for folder, device in self.memory.mounts.items() if self._scan.mounts.get(folder) != device}
        below = [key for key in unclaimed if files.enclosing(in_force[key].item, lost)]
        if below:
            found.append((below, f"{', '.join(sorted(lost))} is no longer the mount it was: {_UNTIL}"))
        if not any(suspects for suspects, _ in found) and not self.files.unsettled():
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
            path for path, file in self.files.by_path.items() if file.gone(now, files.QUIET) and path not in holders
        ]
        for path in gone:
            del self.files.by_path[path]
        return tuple(path for path in gone if self._recorded.pop(path, None) is not None)

    def _again_at(self, now: Moment, in_force: InForce, unclaimed: list[Key]) -> float | None:
        if self.files.ready(now):
            return now.mono
        dropped = {in_force[key].item for key in unclaimed}
        return files.together(self.files.deadlines(now, dropped))
