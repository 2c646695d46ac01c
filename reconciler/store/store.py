"""The store: snapshots and transactions over its connections."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

from reconciler import errors
from reconciler.repeated import repeated
from reconciler.store import faults
from reconciler.store.connections import Connections
from reconciler.store.guard import Guard
from reconciler.store.session import SqlSession

_log = logging.getLogger(__name__)
#: how long a transaction waits for the ones before it
TURN_SECONDS = 30.0
#: the log is copied into the database after this many commits, if nobody asked for it before
CHECKPOINT_COMMITS = 200
#: and after this many while the disk is all but full: what is reserved for the log must do
SHORT_COMMITS = 20


class _Listener:
    """Somebody who is told of changes. When ``end`` returns, its callback does not run and never will again: what the
    callback writes to may be closed."""

    def __init__(self, callback: Callable[[int], None]) -> None:
        self._callback: Callable[[int], None] | None = callback
        # one that ends itself in its callback must not wait for itself
        self._lock = threading.RLock()

    def hear(self, revision: int) -> None:
        with self._lock:
            if self._callback is not None:
                self._callback(revision)

    def end(self) -> None:
        with self._lock:
            self._callback = None


class SqlStore:
    """``base.Store`` on SQLite; ``reconciler.store.open_store`` makes one."""

    def __init__(self, connections: Connections, guard: Guard | None = None) -> None:
        self._connections = connections
        self._guard = guard
        self._turn = threading.Lock()
        self._writing: int | None = None
        self._synced = True
        self._doubtful = False
        self._unchecked = 0
        self._short = False
        self._closed = False
        self._listening = threading.Lock()
        self._listeners: tuple[_Listener, ...] = ()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[SqlSession]:
        """One consistent state for reading, as after the last commit."""
        if self._closed:
            raise errors.Temporary("the state is closed: pydockd is stopping")
        link = self._connections.take_reader()
        session = SqlSession(link)
        try:
            yield session
        finally:
            session.end()
            self._connections.give_reader(link)

    @contextlib.contextmanager
    def transaction(self, durable: bool = True) -> Iterator[SqlSession]:
        """Everything inside is stored, or nothing after an exception. Transactions of one thread do not nest."""
        with self._my_turn():
            session = self._begin(durable)
            try:
                yield session
                self._commit(durable)
            except BaseException as error:
                self._take_back(error)
                raise
            finally:
                session.end()
            if durable and session.revision and self._guard:
                self._guard.note(session.revision)
        if session.revision:
            self._tell(session.revision)

    def on_change(self, callback: Callable[[int], None]) -> Callable[[], None]:
        """See ``base.Store``. With several writers calls may come out of order: the largest revision counts."""
        listener = _Listener(callback)
        with self._listening:
            self._listeners = (*self._listeners, listener)

        def forget() -> None:
            with self._listening:
                self._listeners = tuple(other for other in self._listeners if other is not listener)
            listener.end()

        return forget

    def checkpoint(self) -> None:
        """Copies the log into the database file; cuts a log that has grown long."""
        with self._my_turn():
            self._checkpoint()
            self._connections.reserve()

    def close(self) -> None:
        """Waits for a running transaction; later ones are refused. Closing twice does nothing."""
        with self._my_turn(closing=True):
            if not self._closed:
                self._closed = True
                self._connections.close()
                if self._guard:
                    self._guard.close()

    @contextlib.contextmanager
    def _my_turn(self, closing: bool = False) -> Iterator[None]:
        if self._writing == threading.get_ident():
            raise RuntimeError("this thread is inside a transaction already: use that one's session")
        if not self._turn.acquire(timeout=TURN_SECONDS):
            raise errors.Temporary("the state is busy: another change has been in the works for very long")
        self._writing = threading.get_ident()
        try:
            if self._closed and not closing:
                raise errors.Temporary("the state is closed: pydockd is stopping")
            yield
        finally:
            self._writing = None
            self._turn.release()

    def _begin(self, durable: bool) -> SqlSession:
        writer = self._connections.writer
        if self._doubtful:
            self._mend()
        if durable != self._synced:
            writer.control(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._synced = durable
        writer.control("BEGIN IMMEDIATE")
        self._short = self._connections.short()
        return SqlSession(writer, self._short)

    def _commit(self, durable: bool) -> None:
        try:
            self._connections.writer.control("COMMIT")
        except errors.PydockError as error:
            self._doubtful = self._doubtful or faults.disk_failed(error)
            raise
        self._connections.committed()
        self._unchecked += 1
        if self._unchecked >= (SHORT_COMMITS if self._short else CHECKPOINT_COMMITS):
            self._tidy()

    def _tidy(self) -> None:
        """Makes a checkpoint after many commits. The last commit is on disk already; a failure here must not turn it
        into a failed one."""
        try:
            self._checkpoint()
        except errors.PydockError as error:
            repeated.warn(_log, f"the log of the state could not be written back: {error.message}")

    def _checkpoint(self) -> None:
        self._unchecked = 0
        try:
            self._connections.checkpoint(thorough=False)
        except errors.PydockError as error:
            self._doubtful = self._doubtful or faults.disk_failed(error)
            raise

    def _take_back(self, cause: BaseException) -> None:
        try:
            self._connections.writer.rollback()
            if isinstance(cause, errors.PydockError) and faults.disk_full(cause):
                # what is written back makes room in the log: the next, smaller change may fit
                self._tidy()
        except errors.PydockError as error:
            self._doubtful = True
            repeated.warn(_log, f"a transaction could not be rolled back in an orderly way: {error.message}")

    def _mend(self) -> None:
        """Makes the log trustworthy again before anything more is promised.

        After a failed write or sync the kernel may take pages of the log for written that are not, and a later commit
        in that log would rest on them. So the log is copied into the database, synced and cut.
        """
        if not self._connections.checkpoint(thorough=True):
            raise errors.Temporary("the disk of the state failed, and readers are still at work: writing must wait")
        self._doubtful = False

    def _tell(self, revision: int) -> None:
        for listener in self._listeners:
            try:
                listener.hear(revision)
            except Exception:  # noqa: BLE001 - the change is committed: whoever listens badly must not undo the answer
                _log.exception("a listener of state changes failed")
