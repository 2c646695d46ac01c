"""A source as the job ``sources`` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.control.sources.base import Source
from reconciler.control.sources.ledger import facts
from reconciler.control.sources.ledger.files import File
from reconciler.control.sources.ledger.ledger import Ledger
from reconciler.model.keys import Key
from reconciler.model.view import Moment

#: the state of a file that a program has open for writing
WRITING = "writing"
#: states of files that differ from what is in force, and stay so until somebody does something
AHEAD = frozenset({"invalid", "refused", "unreadable", "empty"})


def render(source: Source, ledger: Ledger, in_force: Mapping[Key, facts.Holding], now: Moment) -> dict[str, Any]:
    """See ``requests.sources.Sources``."""
    counts: dict[str, int] = {}
    for holding in in_force.values():
        counts[holding.item] = counts.get(holding.item, 0) + 1
    files = [_file(path, file, counts.get(path, 0), now, ledger) for path, file in sorted(ledger.files.by_path.items())]
    ahead = sum(file["state"] in AHEAD or ledger.files.by_path[file["path"]].slow(now) for file in files)
    if ledger.trouble:
        state, message = "unavailable", ledger.trouble
    elif ledger.memory.held:
        state, message = "held", ledger.memory.reason
    elif ahead:
        state, message = (
            "problems",
            f"{ahead} of {len(files)} files {'is' if ahead == 1 else 'are'} not in force as written",
        )
    else:
        state, message = "ok", ""
    return _item(source, state, len(in_force), message, files, ledger)


def unread(source: Source, in_force: Mapping[Key, facts.Holding]) -> dict[str, Any]:
    """A source that has not been looked at yet, or is about to be."""
    return _item(source, "unavailable", len(in_force), "not read yet")


def stopped(source: Source, objects: int) -> dict[str, Any]:
    """A source that nobody follows any more: what it held stays."""
    return _item(source, "stopped", objects, "not followed: its objects stay as they are")


def name_writers(shown: dict[str, Any], writers: Mapping[str, str]) -> dict[str, Any]:
    """The same with the names of the programs that have files open."""
    files = [
        {**file, "message": f"still being written: {writers[file['path']]} has it open"}
        if file["path"] in writers
        else file
        for file in shown["files"]
    ]
    return {**shown, "files": files}


def _item(
    source: Source,
    state: str,
    objects: int,
    message: str,
    files: list[dict[str, Any]] | None = None,
    ledger: Ledger | None = None,
) -> dict[str, Any]:
    return {
        "name": source.name,
        "path": source.place,
        "state": state,
        "objects": objects,
        "files": files or [],
        "held": sorted(ledger.memory.held) if ledger is not None else [],
        "digest": ledger.digest if ledger is not None else "",
        "message": message,
    }


def _file(path: str, file: File, objects: int, now: Moment, ledger: Ledger) -> dict[str, Any]:
    state, message = _state(file, now, ledger)
    return {"path": path, "state": state, "objects": objects, "problems": list(file.problems), "message": message}


def _state(file: File, now: Moment, ledger: Ledger) -> tuple[str, str]:
    """A file's state, and a sentence where the state alone does not say enough."""
    patience = ledger.files.patience
    if file.gone_since is not None:
        left = max(0.0, file.gone_since + patience.gone - now.mono)
        return "gone", f"what it held is removed in {left:.1f} s unless it comes back" if left else ""
    if file.trouble:
        return "unreadable", ""
    if file.busy_since is not None:
        return WRITING, "still being written: a program has it open"
    if file.unread:
        return "pending", _pending(file, now, patience)
    if file.waits:
        return "pending", "; ".join(f"waits for {path}, which holds {key}" for key, path in sorted(file.lost.items()))
    if file.problems:
        return ("refused" if file.lost else "invalid"), ""
    return ("empty", "has no document: what it held stays") if file.empty else ("ok", "")


def _pending(file: File, now: Moment, patience: facts.Patience) -> str:
    if not file.suspicion:
        return ""
    cut = file.suspicion == "cut"
    left = max(0.0, file.since + (patience.cut if cut else patience.loss) - now.mono)
    missing = "the end of what is in force" if cut else "a part of what is in force"
    return f"{missing} is missing in it, so it may be half-written: it takes effect in {left:.1f} s unless it changes"
