"""The part of docker's ``config.json`` that is about logins: ``$DOCKER_CONFIG/config.json``, else
``~/.docker/config.json``.

Format: https://docs.docker.com/reference/cli/docker/login/. ``auths`` maps a registry to the base64 of its
``username:password``; ``credHelpers`` (by registry) and ``credsStore`` name programs that keep logins instead. These
keys are read in any case, and null as if the key were absent, as docker does; they are written in docker's spelling.
Other keys are left as they are.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler import errors
from reconciler.model import references

#: where docker keeps the login for docker.io
_DOCKER_KEY = "https://index.docker.io/v1/"
_MOST_BYTES = 4 << 20
_OBJECTS = ("auths", "credHelpers")
#: in lower case → as docker writes it
_SPELLINGS = {name.casefold(): name for name in (*_OBJECTS, "credsStore")}
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def path() -> Path:
    """The file."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def read() -> dict[str, Any]:
    """The whole file; empty if there is none. Raises ``Permanent`` for one that cannot be used."""
    file = path()
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _failed(error) from None
    try:
        document = json.loads(data) if data.strip() else None
    except (ValueError, RecursionError):
        raise errors.Permanent(f"{file}: it is not JSON: repair it, or move it away and log in again") from None
    config = _as_docker_reads({} if document is None else document) if isinstance(document, dict | None) else None
    if config is None or not all(isinstance(config.get(key, {}), dict) for key in _OBJECTS):
        raise errors.Permanent(f"{file}: expected an object whose auths and credHelpers are objects")
    return config


def _as_docker_reads(document: dict[str, Any]) -> dict[str, Any]:
    """``document`` with the keys about logins as docker spells them, without those that are null. Of several spellings
    the last counts; objects are put together."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        name = _SPELLINGS.get(key.casefold())
        if name is None:
            found[key] = value
        elif name in _OBJECTS and isinstance(value, dict) and isinstance(found.get(name), dict):
            found[name] |= value
        elif value is not None:
            found[name] = value
    return found


@contextlib.contextmanager
def changing() -> Iterator[dict[str, Any]]:
    """The file's content, to be changed in place. It is written if the block raises nothing and has changed something.
    The directory is locked meanwhile, so that one ``pydock`` at a time does this."""
    try:
        path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = os.open(path().parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _failed(error) from None
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        config = read()
        before = json.dumps(config)
        yield config
        if json.dumps(config) != before:
            _write(config)
    finally:
        os.close(directory)


def key(registry: str) -> str:
    """The name of the registry in ``auths`` and for helpers."""
    return _DOCKER_KEY if registry == references.DEFAULT_REGISTRY else registry


def keys(config: dict[str, Any], registry: str) -> list[str]:
    """The keys of ``auths`` that mean the registry, the usual one first: older ones have scheme and path."""
    found = [name for name in config.get("auths", {}) if _means(name, registry)]
    return sorted(found, key=lambda name: name != key(registry))


def helper(config: dict[str, Any], registry: str) -> str:
    """The name of the program that keeps the registry's login; empty if the file itself does."""
    helpers = config.get("credHelpers", {})
    name = next((helpers[each] for each in helpers if _means(each, registry)), config.get("credsStore")) or ""
    if name and not (isinstance(name, str) and _HELPER.fullmatch(name)):
        raise errors.Permanent(f"{path()}: {name!r} is not the name of a credential helper")
    return str(name)


def _means(name: str, registry: str) -> bool:
    try:
        return references.parse_registry(name) == registry
    except errors.Invalid:
        return False


def _write(config: dict[str, Any]) -> None:
    """Replaces the file as a whole, readable by its owner only. A link stays, and its target is replaced."""
    real = Path(os.path.realpath(path()))
    data = json.dumps(config, indent="\t").encode() + b"\n"
    try:
        descriptor, aside = tempfile.mkstemp(prefix=".config.json-", dir=real.parent)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                _keep_owner(real, file.fileno())
                file.flush()
                os.fsync(file.fileno())
            os.rename(aside, real)
        except BaseException:
            os.unlink(aside)
            raise
    except OSError as error:
        raise _failed(error) from None


def _keep_owner(real: Path, descriptor: int) -> None:
    """Where root logs in for another user, the file stays that user's."""
    with contextlib.suppress(FileNotFoundError):
        had = real.stat()
        if os.geteuid() == 0:
            os.fchown(descriptor, had.st_uid, had.st_gid)


def _failed(error: OSError) -> errors.Permanent:
    return errors.Permanent(f"{path()}: {(error.strerror or str(error)).lower()}")
