"""What SQLite's errors mean to pydock, as sentences that name the file and what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from reconciler import errors

_NOTHING = "nothing of this change was kept"


def translate(error: sqlite3.Error, path: Path) -> errors.PydockError:
    """The error class that says what a caller can do about ``error``."""
    code = getattr(error, "sqlite_errorcode", 0)
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return errors.Temporary(f"the disk that holds {path} is full: free some space; {_NOTHING}", delay=5.0)
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return errors.Temporary(f"{path} is locked by another process: close whatever has it open; {_NOTHING}")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return errors.Permanent(damaged(path, str(error)))
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return errors.Permanent(f"{path} cannot be written ({error}): make its file system writable; {_NOTHING}")
    if primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM):
        name = getattr(error, "sqlite_errorname", "error")
        return errors.Temporary(
            f"reading or writing {path} failed ({error}, {name}): look at the disk; {_NOTHING}", delay=2.0
        )
    return errors.Permanent(f"{path} refused a statement: {error}; {_NOTHING}")


def disk_failed(error: errors.PydockError) -> bool:
    """Whether ``error``, made by ``translate``, tells of a failed read, write or sync (not of a full disk)."""
    return _primary(error) == sqlite3.SQLITE_IOERR


def disk_full(error: errors.PydockError) -> bool:
    """Whether ``error``, made by ``translate``, tells of a full disk."""
    return _primary(error) == sqlite3.SQLITE_FULL


def _primary(error: errors.PydockError) -> int:
    code: int = getattr(error.__cause__, "sqlite_errorcode", 0)
    return code & 0xFF


def damaged(path: Path, what: str) -> str:
    """The sentence for a database that cannot be trusted any more."""
    return f"{path} is damaged ({what}); running containers were not touched. {_remedy(path)}"


def missing(path: Path, what: str) -> str:
    """The sentence for a database that lacks what was acknowledged."""
    return f"{path} {what}; running containers were not touched. {_remedy(path)}"


def _remedy(path: Path) -> str:
    return (
        f"Put {path.name} and {path.name}-wal back from a backup and remove {path.name}.lock, or move all three away "
        "to begin anew from the manifests."
    )
