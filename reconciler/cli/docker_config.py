"""docker's ``config.json``, as far as it is about logins: ``$DOCKER_CONFIG/config.json``, else
``~/.docker/config.json``.

Format: https://docs.docker.com/reference/cli/docker/login/. ``auths`` maps a registry to the base64 of its
``username:password``; ``credHelpers`` (by registry) and ``credsStore`` name programs that keep logins instead. Other
keys are left as they are.
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
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def path() -> Path:
    """Where logins are kept."""
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
        config = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError):
        raise errors.Permanent(f"{file}: it is not JSON: repair it, or move it away and log in again") from None
    if not isinstance(config, dict) or not all(
        isinstance(config.get(key, {}), dict) for key in ("auths", "credHelpers")
    ):
        raise errors.Permanent(f"{file}: expected an object whose auths and credHelpers are objects")
    return config


@contextlib.contextmanager
def changing() -> Iterator[dict[str, Any]]:
    """The file's content, to be changed in place; it is written when the block ends well and something is new. One
    ``pydock`` at a time: the directory is locked."""
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
    """What ``auths`` and helpers know the registry by."""
    return _DOCKER_KEY if registry == references.DEFAULT_REGISTRY else registry


def keys(config: dict[str, Any], registry: str) -> list[str]:
    """The keys of ``auths`` that mean the registry, the usual one first: older ones have scheme and path."""
    found = [name for name in config.get("auths", {}) if _means(name, registry)]
    return sorted(found, key=lambda name: name != key(registry))


def helper(config: dict[str, Any], registry: str) -> str:
    """The name of the program that keeps the registry's login; empty if the file itself does."""
    helpers = config.get("credHelpers", {})
    name = next((helpers[each] for each in helpers if _means(each, registry)), config.get("credsStore") or "")
    if name and not (isinstance(name, str) and _HELPER.fullmatch(name)):
        raise errors.Permanent(f"{path()}: {name!r} is not the name of a credential helper")
    return str(name)


def _means(name: str, registry: str) -> bool:
    try:
        return references.parse_registry(name) == registry
    except errors.Invalid:
        return False


def _write(config: dict[str, Any]) -> None:
    """All or nothing, for its owner only. Where the file is a link, what it leads to is written."""
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
    """root may log in for another user, whose file it stays."""
    with contextlib.suppress(FileNotFoundError):
        had = real.stat()
        if os.geteuid() == 0:
            os.fchown(descriptor, had.st_uid, had.st_gid)


def _failed(error: OSError) -> errors.Permanent:
    return errors.Permanent(f"{path()}: {(error.strerror or str(error)).lower()}")
