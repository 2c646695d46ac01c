"""The files of a log read as one."""

from __future__ import annotations

import os
from typing import IO, NamedTuple

from reconciler.drivers.exec import log_files

#: how often the files may change while their list is read, before what was read is taken as it is
_TRIES = 5


class _Part(NamedTuple):
    """``start`` is where the file begins in the whole."""

    file: IO[bytes]
    start: int

    def size(self) -> int:
        return os.fstat(self.file.fileno()).st_size


class Chain:
    """All files of a log, oldest first, as one file that can be read and sought in. The last one may still grow, and
    be replaced: ``grow`` then goes on with those that came after it."""

    def __init__(self, log: str, since: float = 0.0) -> None:
        """``since``: files that were last written to before then (Unix seconds) are left out."""
        self._log = log
        self._at = 0
        #: the last file's number, 0 while it has none
        self._number = 0
        self._parts: list[_Part] = []
        for _ in range(_TRIES):
            if self._open(since):
                break

    def _open(self, since: float) -> bool:
        """False when a file in the middle went while the list was read."""
        self.close()
        whole = True
        for number, path in self._present(0):
            file = _opened(path)
            if file is None:
                whole = whole and not self._parts
            elif os.fstat(file.fileno()).st_mtime < since:
                file.close()
            else:
                self._append(number, file)
        return whole

    def _present(self, after: int) -> list[tuple[int, str]]:
        """Numbers above ``after`` with their files, up to the current one, which comes by its own name and as 0 if it
        has no number yet."""
        current = log_files.status(self._log)
        if current is None:
            return []
        following = log_files.status(f"{self._log}.tmp")
        present: list[tuple[int, str]] = []
        for number in log_files.numbered(self._log):
            path = log_files.path_of(self._log, number)
            found = log_files.status(path)
            if found is None or (following is not None and os.path.samestat(found, following)):
                continue
            if number > after:
                present.append((number, path))
            if os.path.samestat(found, current):
                return present
        return [*present, (0, self._log)]

    def _append(self, number: int, file: IO[bytes]) -> None:
        self._parts.append(_Part(file, self.size()))
        self._number = number

    def grow(self) -> bool:
        """Whether files came after the last one; that one is complete then."""
        before = len(self._parts)
        for number, path in self._present(self._last_number()):
            file = _opened(path)
            if file is None:
                continue
            if self._parts and os.path.sameopenfile(file.fileno(), self._parts[-1].file.fileno()):
                file.close()
                continue
            self._append(number, file)
        return len(self._parts) > before

    def _last_number(self) -> int:
        """The number that the last file has got meanwhile, if it had none. Looked up by the file then, and remembered:
        a number may come to stand for the end of its file alone."""
        if self._parts and not self._number:
            self._number = log_files.number_of(self._log, os.fstat(self._parts[-1].file.fileno()))
        return self._number

    def forget_read(self) -> None:
        """Closes the files that lie before the present position."""
        while len(self._parts) > 1 and self._at >= self._parts[1].start:
            self._parts.pop(0).file.close()

    def restart(self) -> None:
        """Begins at the start of the current file: it was emptied by hand."""
        self.close()
        self._at = 0
        file = _opened(self._log)
        if file is not None:
            self._append(0, file)

    def __bool__(self) -> bool:
        return bool(self._parts)

    def size(self) -> int:
        return self._parts[-1].start + self._parts[-1].size() if self._parts else 0

    def seek(self, offset: int) -> None:
        self._at = offset

    def tell(self) -> int:
        return self._at

    def read(self, count: int) -> bytes:
        """``count`` bytes from the present position, fewer only where the end comes first."""
        pieces: list[bytes] = []
        while count > 0 and (piece := self._read(count)):
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def _read(self, count: int) -> bytes:
        """What the file at the present position has of them."""
        for index, part in enumerate(self._parts):
            if index == len(self._parts) - 1 or self._at < self._parts[index + 1].start:
                data = os.pread(part.file.fileno(), count, self._at - part.start)
                self._at += len(data)
                return data
        return b""

    def close(self) -> None:
        for part in self._parts:
            part.file.close()
        self._parts.clear()


def _opened(path: str) -> IO[bytes] | None:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None
