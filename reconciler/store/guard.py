"""The file beside the database. It says who has the database open, and which revision was the newest that was promised
to be durable.

SQLite recovers silently to an older state when its write-ahead log is lost or cut, and makes a new database where one
is missing. So each durable commit notes its revision here, in place and without a sync of its own. After a killed
process the note is complete; after a power cut it may be a little old, which only makes the check weaker.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from pathlib import Path

from reconciler import errors

_RECORD = re.compile(rb"pydock state, revision (\d{20}), pid (\d{10})\n")


class Guard:
    """Holds ``PATH.lock`` until ``close``.

    ``made`` tells whether a database was ever made here, ``promised`` is the newest revision acknowledged as durable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".lock")
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._take(path)
            record = _RECORD.match(self._read())
        except BaseException:
            os.close(self._descriptor)
            raise
        self.made = record is not None
        self.promised = int(record[1]) if record else 0

    def note(self, revision: int) -> None:
        """Records that ``revision`` is durable. If that fails, nothing is undone: the change is in the database."""
        if revision > self.promised:
            self.promised = revision
            with contextlib.suppress(OSError):
                self._write()

    def begin(self, revision: int) -> None:
        """Records that the database exists and that this process has it open. Raises ``OSError``."""
        self.made = True
        self.promised = revision
        self._write()
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Lets others open the database; the record stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _take(self, path: Path) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            record = _RECORD.match(self._read())
            who = f"process {int(record[2])}" if record else "another process"
            raise errors.Permanent(
                f"{path} is in use by {who}: stop that pydockd, or give this one another --root"
            ) from None

    def _read(self) -> bytes:
        return os.pread(self._descriptor, 128, 0)

    def _write(self) -> None:
        record = f"pydock state, revision {self.promised:020}, pid {os.getpid():010}\n"
        os.pwrite(self._descriptor, record.encode(), 0)
