"""Opens the database: may we, is it whole, is it of our version? Nothing is written before all of that is known."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import urllib.parse
from pathlib import Path

from reconciler import errors
from reconciler.store import checks, connections, faults, refs, schema
from reconciler.store.guard import Guard
from reconciler.store.session import SqlSession
from reconciler.store.sql import Link
from reconciler.store.store import SqlStore

_MAGIC = b"SQLite format 3\0"
#: the fact that tells which version of references is recorded
_REFERENCES = "references"


def open_store(path: Path) -> SqlStore:
    """See ``reconciler.store.open_store``."""
    path = Path(path).absolute()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        guard = Guard(path)
    except OSError as error:
        raise errors.Permanent(f"{path} cannot be opened: {error.strerror}") from error
    try:
        return _open(path, guard)
    except OSError as error:
        guard.close()
        raise errors.Temporary(f"{path} cannot be opened: {error.strerror}") from error
    except BaseException:
        guard.close()
        raise


def _open(path: Path, guard: Guard) -> SqlStore:
    _examine(path, guard)
    _make_file(path)
    pool = connections.FileConnections(path)
    try:
        found = schema.version(pool.writer)
        if not found:
            schema.create(pool.writer)
        elif found < schema.CURRENT:
            from reconciler.store import upgrade  # imports alembic

            upgrade.to_current(pool.writer)
        _find_references(pool.writer, new=not found)
        pool.reserve()
        guard.begin(checks.revision(pool.writer))
    except BaseException:
        pool.close()
        raise
    return SqlStore(pool, guard)


def _find_references(link: Link, new: bool) -> None:
    """References are recorded with each change. A database of an older version, which did not record them, gets them
    all now."""
    session = SqlSession(link)
    try:
        if session.facts.get(_REFERENCES) == refs.VERSION:
            return
        link.control("BEGIN IMMEDIATE")
        if not new:
            session.refs.rebuild()
        session.facts.put(_REFERENCES, refs.VERSION)
        link.control("COMMIT")
    except BaseException:
        link.rollback()
        raise
    finally:
        session.end()


def _examine(path: Path, guard: Guard) -> None:
    """Raises ``errors.Permanent`` unless the file is new or whole; reads only."""
    size = path.stat().st_size if path.exists() else 0
    log = path.with_name(path.name + "-wal")
    hot = log.exists() and log.stat().st_size > 0
    if size == 0:
        if guard.made or hot:
            raise errors.Permanent(faults.missing(path, "is empty or missing, though pydock kept its state there"))
        return
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise errors.Permanent(f"{path} is not an SQLite database: {_not_ours(guard)}")
    with contextlib.closing(_read_only(path, hot)) as driver:
        link = Link(driver, path, writable=False)
        if not hot and size % link.control("PRAGMA page_size")[0][0]:
            raise errors.Permanent(faults.damaged(path, "its end is missing"))
        checks.whole(link, guard.promised)


def _not_ours(guard: Guard) -> str:
    if guard.made:
        return "its beginning was overwritten; running containers were not touched. Put it back from a backup"
    return "move it away or give another --root"


def _read_only(path: Path, hot: bool) -> sqlite3.Connection:
    """A connection that leaves the file, and a log that is not yet written back, as they are."""
    mode = "mode=ro" if hot else "mode=ro&immutable=1"
    uri = f"file:{urllib.parse.quote(os.fsencode(path))}?{mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=connections.BUSY_SECONDS)


def _make_file(path: Path) -> None:
    """Makes sure that the file exists, is accessible to its owner only, and that its name is on disk."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
