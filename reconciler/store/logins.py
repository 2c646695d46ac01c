"""Logins for registries that the host keeps for its own pulls: two files beside the database.

``logins.key`` holds 32 random bytes (mode 0400); it is made with the first login and removed with the last.
``logins.json`` maps each scope, a registry or a part of one, to the time when its login was stored and to the login
itself, encrypted with that key (AES-256-GCM, RFC 5116: base64 of nonce and ciphertext; the scope is authenticated too,
so that entries cannot be exchanged). The key protects copies of the other file, such as backups that leave the key out;
whoever can read the whole state directory has both.

Each file is written under another name, synced and renamed; then its directory is synced. The cryptography package is
imported when a login is encrypted or decrypted: it takes 10 MB.
"""

from __future__ import annotations

import base64
import contextlib
import os
import threading
from pathlib import Path
from typing import Literal

import msgspec

from reconciler import errors, failpoints
from reconciler.model import references
from reconciler.model.credentials import Credentials

_KEY_BYTES = 32
_NONCE_BYTES = 12
_MOST_BYTES = 16 << 20
_ADVICE = "pydock logout --on-host {}, then log in again"


class Kept(msgspec.Struct, frozen=True):
    """One login: when it was stored (Unix time), and its encrypted form (``_seal``)."""

    since: float
    sealed: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    logins: dict[str, Kept]


class Logins:
    """The logins in ``directory``, which only the daemon writes. Safe for threads."""

    def __init__(self, directory: Path) -> None:
        self._file, self._key = directory / "logins.json", directory / "logins.key"
        self._lock = threading.Lock()
        for path in (self._file, self._key):
            with contextlib.suppress(FileNotFoundError):  # a crash may have left it
                _aside(path).unlink()

    def put(self, scope: str, login: Credentials, now: float) -> None:
        """Stores a login for ``scope`` (``references.parse_scope``) in place of its former one, durably.
        Raises ``Permanent`` if the files or their key cannot be used: with a new key the other logins would be lost."""
        with self._lock:
            kept = self._read()
            key = self._read_key() if kept else self._made_key()
            self._write({**kept, scope: Kept(now, _seal(key, scope, login))})

    def remove(self, scope: str) -> bool:
        """Forgets a login, even one that cannot be decrypted. Returns whether there was one."""
        with self._lock:
            kept = self._read()
            if scope not in kept:
                if not kept:
                    _remove(self._key)  # a crash may have left it
                return False
            self._write({name: entry for name, entry in kept.items() if name != scope})
            return True

    def all(self) -> dict[str, Kept]:
        """The stored logins by scope, sorted."""
        with self._lock:
            return dict(sorted(self._read().items()))

    def open(self, scope: str, kept: Kept) -> Credentials:
        """Decrypts a login. Raises ``Permanent``, with what to do, if that fails."""
        try:
            return _open(self._read_key(), scope, kept.sealed)
        except errors.Permanent as error:
            raise errors.Permanent(
                f"the login that is kept for {scope} cannot be read: {error.message}: {_ADVICE.format(scope)}"
            ) from None

    def find(self, reference: references.Reference) -> Credentials | None:
        """The login for an image: that of the longest scope the image is in; None if there is none. Raises as ``open``
        does."""
        with self._lock:
            kept = self._read()
        scopes = [scope for scope in kept if references.in_scope(reference, scope)]
        longest = max(scopes, key=len, default="")
        return self.open(longest, kept[longest]) if longest else None

    def _read(self) -> dict[str, Kept]:
        try:
            with self._file.open("rb") as file:
                return msgspec.json.decode(file.read(_MOST_BYTES), type=_File).logins
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise errors.Permanent(f"{self._file}: {(error.strerror or str(error)).lower()}") from None
        except (msgspec.DecodeError, RecursionError):  # whose words might show a part of it
            raise errors.Permanent(
                f"{self._file} is damaged: restore it, or move it away and log in again with pydock login --on-host"
            ) from None

    def _write(self, kept: dict[str, Kept]) -> None:
        failpoints.hit("logins.write.before")
        if kept:
            _replace(self._file, msgspec.json.encode(_File(1, kept)), 0o600)
            failpoints.hit("logins.write.after")
        else:
            _remove(self._file)
            failpoints.hit("logins.remove.after")
            _remove(self._key)

    def _read_key(self) -> bytes:
        try:
            with self._key.open("rb") as file:
                key = file.read(_KEY_BYTES + 1)
        except OSError as error:
            raise errors.Permanent(f"{self._key}: {(error.strerror or str(error)).lower()}") from None
        if len(key) != _KEY_BYTES:
            raise errors.Permanent(f"{self._key} is damaged: it should have {_KEY_BYTES} bytes")
        return key

    def _made_key(self) -> bytes:
        """The key, made anew if there is none that can be used. To be called only while no login is stored."""
        with contextlib.suppress(errors.Permanent):
            return self._read_key()
        _replace(self._key, os.urandom(_KEY_BYTES), 0o400)
        failpoints.hit("logins.key.after")
        return self._read_key()


def _seal(key: bytes, scope: str, login: Credentials) -> str:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, msgspec.json.encode(login), scope.encode())).decode()


def _open(key: bytes, scope: str, sealed: str) -> Credentials:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        raw = base64.b64decode(sealed, validate=True)
        text = AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], scope.encode())
        return msgspec.json.decode(text, type=Credentials)
    except (InvalidTag, ValueError):
        raise errors.Permanent("it is damaged, or was encrypted with another key") from None


def _replace(path: Path, data: bytes, mode: int) -> None:
    try:
        _aside(path).unlink(missing_ok=True)
        descriptor = os.open(_aside(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.rename(_aside(path), path)
        _sync(path.parent)
    except OSError as error:
        raise errors.Permanent(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        _sync(path.parent)
    except OSError as error:
        raise errors.Permanent(f"{path} cannot be removed: {(error.strerror or str(error)).lower()}") from None


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
