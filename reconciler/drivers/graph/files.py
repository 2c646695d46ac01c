"""Files and directories made so that a crash leaves either all of them or nothing."""

from __future__ import annotations

import os
import secrets

from reconciler import failpoints

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def temporary(directory: str, kind: str) -> str:
    """A path in ``directory`` that nothing has yet."""
    return os.path.join(directory, f"{kind}-{secrets.token_hex(8)}")


def sync_directory(path: str) -> None:
    """Makes the names in a directory safe against a power cut."""
    descriptor = os.open(path, _DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: str, data: bytes, temporaries: str) -> None:
    """Puts a whole file in place: written aside, synced, renamed, its directory synced."""
    aside = temporary(temporaries, "file")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        failpoints.hit("graph.file.sync.after")
        os.rename(aside, path)
    except BaseException:
        discard(aside)
        raise
    sync_directory(os.path.dirname(path))


def discard(path: str) -> None:
    """Removes a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
