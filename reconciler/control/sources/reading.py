"""New contents of files to what is put in force: read, checked, and the claims of all settled against each other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from reconciler import manifest
from reconciler.control.sources import claims, facts
from reconciler.control.sources.files import File, Files
from reconciler.model.keys import Key
from reconciler.model.objects import Document, Owner
from reconciler.model.view import Moment

#: files read in one look: bounds memory, and lets what is read take effect meanwhile
BATCH = 1000

InForce = Mapping[Key, facts.Holding]
#: content of a file as it was when it had that signature; None: it changed meanwhile. Raises ``OSError``.
Read = Callable[[str, facts.Signature], bytes | None]
#: the owner of the live object of that key when it is another source; else None
Foreign = Callable[[Key], Owner | None]


class Version(NamedTuple):
    """A file's new content, good so far."""

    documents: tuple[Document, ...]
    keys: frozenset[Key]


def read(files: Files, now: Moment, content: Read) -> dict[str, Version]:
    """The good new versions. Files whose content is not good say so in ``problems``, and keep the version before in
    force."""
    found = {}
    retried = [
        path for path, file in files.by_path.items() if file.blocked and not file.unread and file.gone_since is None
    ]
    for path in files.ready(now)[:BATCH] + retried:
        version = _read(path, files.by_path[path], now, content)
        if version is not None:
            found[path] = version
    return found


def _read(path: str, file: File, now: Moment, content: Read) -> Version | None:
    assert file.signature is not None
    try:
        data = content(path, file.signature)
    except OSError as error:
        file.read, file.blocked, file.problems = (
            file.signature,
            True,
            (f"{path}: {(error.strerror or str(error)).lower()}",),
        )
        return None
    if data is None:
        file.since = now.mono
        return None
    loaded = manifest.load(data, path)
    file.read, file.blocked = file.signature, False
    file.digest = hashlib.sha256(data).hexdigest()
    file.problems = tuple(str(problem) for problem in loaded.problems)
    file.empty = not loaded.problems and not loaded.documents
    if loaded.problems or file.empty:
        return None
    documents = tuple(located.document for located in loaded.documents)
    return Version(documents, frozenset(document.key for document in documents))


def settle(files: Files, versions: Mapping[str, Version], in_force: InForce, foreign: Foreign) -> dict[str, Version]:
    """The versions that may take effect; the others' files say which object is whose."""
    accepted = dict(versions)
    for path, version in versions.items():
        theirs = {
            key: str(owner) for key in version.keys if key not in in_force and (owner := foreign(key)) is not None
        }
        if theirs:
            block(files.by_path[path], path, theirs)
            del accepted[path]
    wanted = {path: version.keys for path, version in accepted.items()}
    owners = {key: holding.item for key, holding in in_force.items()}
    for path, lost in claims.refusals(wanted, standing(files, in_force), owners).items():
        block(files.by_path[path], path, lost)
        del accepted[path]
    for path, version in accepted.items():
        files.by_path[path].claims = version.keys
    return accepted


def block(file: File, path: str, owners: Mapping[Key, str]) -> None:
    """Refuses a file's new version for now; it is tried again at each look."""
    file.blocked = True
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
