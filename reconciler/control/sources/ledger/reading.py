"""From new contents of files to what is put in force: read, checked, and the claims of all settled with each other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from reconciler import manifest
from reconciler.control.sources.ledger import claims, facts, losses
from reconciler.control.sources.ledger.files import File, Files
from reconciler.model.keys import Key
from reconciler.model.objects import BUILTIN, Desired, Document, may_take_over
from reconciler.model.view import Moment

#: files read in one look: bounds memory, and lets what is read take effect meanwhile
BATCH = 1000

InForce = Mapping[Key, facts.Holding]
#: content of a file as it was when it had that signature. Raises ``OSError``.
Read = Callable[[str, facts.Signature], facts.Content]
#: the object of that key that is not terminating, whoever owns it
Live = Callable[[Key], Desired | None]


class Version(NamedTuple):
    """A file's new content, good so far."""

    documents: tuple[Document, ...]
    keys: frozenset[Key]


class Reader:
    """Reads for one source, whose name is ``source``."""

    def __init__(self, source: str, files: Files, read: Read, live: Live) -> None:
        self._source, self._files, self._content, self._live = source, files, read, live

    def read(self, now: Moment, in_force: InForce) -> dict[str, Version]:
        """The good new versions. Files whose content is not good say so in ``problems``, and keep the version before in
        force."""
        files = self._files.by_path
        blocked = [path for path, file in files.items() if file.blocked and not file.unread and file.gone_since is None]
        held: dict[str, set[Key]] = {}
        paths = self._files.ready(now)[:BATCH] + blocked
        if paths:
            for key, holding in in_force.items():
                held.setdefault(holding.item, set()).add(key)
        found = {path: self._read(path, files[path], now, held.get(path, set())) for path in paths}
        return {path: version for path, version in found.items() if version is not None}

    def _read(self, path: str, file: File, now: Moment, held: set[Key]) -> Version | None:
        assert file.signature is not None
        try:
            data, busy = self._content(path, file.signature)
        except OSError as error:
            file.read, file.blocked, file.waits, file.lost = file.signature, True, False, {}
            file.problems = (f"{path}: {(error.strerror or str(error)).lower()}",)
            return None
        if data is None:
            if busy:
                file.busy_since = now.mono if file.busy_since is None else file.busy_since
            else:
                file.since = now.mono
            return None
        file.busy_since = None
        return self._check(path, file, data, now, held)

    def _check(self, path: str, file: File, data: bytes, now: Moment, held: set[Key]) -> Version | None:
        loaded = manifest.load(data, path)
        documents = tuple(located.document for located in loaded.documents)
        if not loaded.problems and documents and self._is_suspect(file, data, documents, now, held):
            return None
        file.read, file.blocked, file.waits, file.lost = file.signature, False, False, {}
        file.digest = hashlib.sha256(data).hexdigest()
        file.problems = tuple(str(problem) for problem in loaded.problems)
        file.empty = not loaded.problems and not documents
        if loaded.problems or file.empty:
            return None
        return Version(documents, frozenset(document.key for document in documents))

    def _is_suspect(
        self, file: File, data: bytes, documents: tuple[Document, ...], now: Moment, held: set[Key]
    ) -> bool:
        """Whether the content may be half of what is still being written, and has not been quiet for long enough."""
        patience = self._files.patience
        if not held or file.quiet(now, max(patience.loss, patience.cut)):
            return False
        before = {key: _document(live) for key in held if (live := self._live(key)) is not None}
        whole = data.rstrip(b" ").endswith((b"\n", b"}", b"]"))
        file.suspicion = losses.judge({document.key: document for document in documents}, before, whole)
        return bool(file.suspicion) and not file.quiet(now, patience.cut if file.suspicion == "cut" else patience.loss)

    def settle(self, versions: Mapping[str, Version], in_force: InForce) -> dict[str, Version]:
        """The versions that may take effect; the others' files say which object is whose."""
        files, accepted = self._files.by_path, dict(versions)
        for path, version in versions.items():
            theirs = self._theirs(version, in_force)
            if theirs:
                block(files[path], path, theirs, foreign=True)
                del accepted[path]
        if not accepted:
            return accepted
        wanted = {path: version.keys for path, version in accepted.items()}
        owners = {key: holding.item for key, holding in in_force.items()}
        ages = {path: files[path].age for path in wanted}
        for path, lost in claims.refusals(wanted, standing(self._files, in_force), owners, ages).items():
            block(files[path], path, lost, foreign=False)
            if all(files[other].unread for other in lost.values()):
                files[path].waits, files[path].problems = True, ()
            del accepted[path]
        for path, version in accepted.items():
            files[path].claims = version.keys
        return accepted

    def _theirs(self, version: Version, in_force: InForce) -> dict[Key, str]:
        """What the version names but another source owns and does not let go."""
        found = {}
        for document in version.documents:
            if document.key in in_force or (live := self._live(document.key)) is None:
                continue
            if live.owner.source not in (self._source, BUILTIN) and not may_take_over(document.annotations, live):
                found[document.key] = str(live.owner)
        return found


def _document(live: Desired) -> Document:
    return Document(live.key, live.labels, live.annotations, live.spec)


def block(file: File, path: str, owners: Mapping[Key, str], foreign: bool) -> None:
    """Refuses a file's new version for now, because of owners in the same source or ``foreign`` ones; it is tried again
    at each look."""
    file.blocked, file.waits, file.lost, file.foreign = True, False, owners, foreign
    file.problems = tuple(
        f"{path}: {key} is already held by {owner}: keep it in one of the two" for key, owner in sorted(owners.items())
    )


def standing(files: Files, in_force: InForce) -> dict[str, frozenset[Key]]:
    """What each file that is there names: its version in force, or all that it holds where that is not known, or the
    file is empty."""
    held: dict[str, set[Key]] = {}
    for key, holding in in_force.items():
        held.setdefault(holding.item, set()).add(key)
    found = {}
    for path, file in files.by_path.items():
        if file.gone_since is None:
            kept = frozenset(held.get(path, ())) if file.claims is None or file.empty else frozenset()
            found[path] = kept | (file.claims or frozenset())
    return found
