"""What objects say of their source: that the file which holds them has moved on, and why that has no effect."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.control.sources.ledger import facts
from reconciler.control.sources.ledger.files import File, Files
from reconciler.model.keys import Key
from reconciler.model.view import Moment

_STAYS = "the last good version stays in force"


def changed(files: Files, in_force: Mapping[Key, facts.Holding], memory: facts.Memory, now: Moment) -> facts.Remarks:
    """The objects whose remark is another than ``in_force`` says, with the new one (None: all is well)."""
    by_file = {path: remark for path, file in files.by_path.items() if (remark := _of_file(path, file, now))}
    by_key = {**_second_claims(files, in_force)}
    for key, holding in in_force.items():
        if memory.held and memory.held.get(str(key)) == holding.uid:
            by_key[key] = facts.Remark("RemovalHeld", f"its removal is held back: {memory.reason}")
        elif holding.item in by_file:
            by_key[key] = by_file[holding.item]
    return tuple((key, by_key.get(key)) for key, holding in in_force.items() if by_key.get(key) != holding.remark)


def _of_file(path: str, file: File, now: Moment) -> facts.Remark | None:
    if file.gone_since is not None:
        return None
    if file.trouble:
        return facts.Remark("Unreadable", f"{path}: {file.trouble}: {_STAYS}")
    if file.slow(now):
        return facts.Remark("BeingWritten", f"{path} is still being written, a program has it open: {_STAYS}")
    if file.problems:
        more = f" (and {len(file.problems) - 1} more)" if len(file.problems) > 1 else ""
        reason = "SecondClaim" if file.lost else "Invalid"
        return facts.Remark(reason, f"{file.problems[0]}{more}: {_STAYS}")
    if file.empty:
        return facts.Remark(
            "Empty", f"{path} has no document any more: {_STAYS}; delete the file to remove this object"
        )
    return None


def _second_claims(files: Files, in_force: Mapping[Key, facts.Holding]) -> dict[Key, facts.Remark]:
    """The source's own objects that other files name too."""
    refused: dict[Key, list[str]] = {}
    for path, file in sorted(files.by_path.items()):
        if file.blocked and not file.waits and file.gone_since is None:
            for key in file.lost.keys() & in_force.keys():
                refused.setdefault(key, []).append(path)
    return {key: facts.Remark("SecondClaim", _second(paths, in_force[key].item)) for key, paths in refused.items()}


def _second(paths: list[str], holder: str) -> str:
    verbs = ("names", "is") if len(paths) == 1 else ("name", "are")
    return f"{', '.join(paths)} {verbs[0]} it too and {verbs[1]} refused: {holder} holds it"
