"""A source as the job ``sources`` shows it."""

from __future__ import annotations

from typing import Any

from reconciler.control.sources import facts
from reconciler.control.sources.directory import Directory
from reconciler.control.sources.files import File
from reconciler.model.keys import Key


def render(name: str, path: str, directory: Directory | None, in_force: dict[Key, facts.Holding]) -> dict[str, Any]:
    """See ``requests.sources.Sources``. A file's ``state``: ``ok``; ``empty`` (what it held stays); ``invalid`` (its
    version before stays); ``unreadable``; ``pending`` (not quiet yet); ``gone`` (what it held waits or goes soon)."""
    if directory is None:
        return _item(name, path, "unavailable", len(in_force), [], {}, "", "not read yet")
    counts: dict[str, int] = {}
    for holding in in_force.values():
        counts[holding.item] = counts.get(holding.item, 0) + 1
    files = [
        {"path": at, "state": _state(file), "objects": counts.get(at, 0), "problems": list(file.problems)}
        for at, file in sorted(directory.files.by_path.items())
    ]
    memory = directory.memory
    state = "unavailable" if directory.trouble else "held" if memory.held else "ok"
    return _item(
        name, path, state, len(in_force), files, memory.held, directory.digest, directory.trouble or memory.reason
    )


def _item(
    name: str,
    path: str,
    state: str,
    objects: int,
    files: list[dict[str, Any]],
    held: dict[str, str],
    digest: str,
    message: str,
) -> dict[str, Any]:
    return {
        "name": name,
        "path": path,
        "state": state,
        "objects": objects,
        "files": files,
        "held": sorted(held),
        "digest": digest,
        "message": message,
    }


def _state(file: File) -> str:
    if file.gone_since is not None:
        return "gone"
    if file.trouble:
        return "unreadable"
    if file.unread:
        return "pending"
    return "invalid" if file.problems else "empty" if file.empty else "ok"
