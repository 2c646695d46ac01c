"""TLS files: the authorities that may vouch for a registry, and our own certificate for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from reconciler import errors

if TYPE_CHECKING:
    import ssl


class Files(NamedTuple):
    """PEM files. ``stamp`` shows whether they have changed: inode, size and modification time (ns) of each."""

    authorities: tuple[str, ...] = ()
    cert: str = ""
    key: str = ""
    stamp: tuple[tuple[int, int, int], ...] = ()

    @classmethod
    def of(cls, authorities: Sequence[str], cert: str, key: str) -> Files:
        paths = [path for path in (*authorities, cert, key) if path]
        return cls(tuple(authorities), cert, key, tuple(_stamp(path) for path in paths))

    def __bool__(self) -> bool:
        return bool(self.authorities or self.cert)


def context(files: Files, *, prove: bool) -> ssl.SSLContext:
    """The settings for connections: the system's authorities and those of ``files``; with ``prove``, our certificate is
    shown to a peer that asks for one. Raises ``Permanent`` naming the file that cannot be used."""
    import ssl

    made = ssl.create_default_context()
    for path in files.authorities:
        try:
            made.load_verify_locations(cafile=path)
        except OSError as error:
            raise _unusable(path, error, "PEM certificates") from None
    if prove and files.cert:
        try:
            made.load_cert_chain(files.cert, files.key, password="")
        except OSError as error:
            raise _unusable(f"{files.cert} with {files.key}", error, "a PEM certificate and its key") from None
    return made


def _unusable(path: str, error: OSError, expected: str) -> errors.Permanent:
    import ssl

    if isinstance(error, ssl.SSLError):
        what = "they do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else f"expected {expected}"
        return errors.Permanent(f"{path}: {what}, unencrypted ({error.reason or error})")
    return errors.Permanent(f"{path}: {error.strerror}")


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)
