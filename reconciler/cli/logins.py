"""Logins for registries, where docker keeps them: ``$DOCKER_CONFIG/config.json``, else ``~/.docker/config.json``.

Format: https://docs.docker.com/reference/cli/docker/login/. ``auths`` maps a registry to the base64 of its
``username:password``; ``credHelpers`` (by registry) and ``credsStore`` name programs that keep logins instead
(https://github.com/docker/docker-credential-helpers). Other keys are left as they are.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from reconciler import errors
from reconciler.model import references
from reconciler.model.credentials import Credentials

#: where docker keeps the login for docker.io
_DOCKER_KEY = "https://index.docker.io/v1/"
_MOST_BYTES = 4 << 20
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
#: seconds; a helper may ask its user to unlock something
_PATIENCE = 120.0
_NONE = "credentials not found"
#: the name under which helpers give a token that is no password
_TOKEN_NAME = "<token>"


def path() -> Path:
    """Where logins are kept."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def find(registry: str) -> Credentials | None:
    """The login for ``registry`` (as a reference has it), if one is kept. Raises ``Permanent`` for one that cannot be
    used."""
    config = _read()
    helper = _helper(config, registry)
    return _from_helper(helper, registry) if helper else _from_file(config, registry)


def _read() -> dict[str, Any]:
    file = path()
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise errors.Permanent(f"{file}: {(error.strerror or str(error)).lower()}") from None
    try:
        config = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError):
        raise errors.Permanent(f"{file}: it is not JSON: repair it, or move it away and log in again") from None
    if not isinstance(config, dict) or not all(
        isinstance(config.get(key, {}), dict) for key in ("auths", "credHelpers")
    ):
        raise errors.Permanent(f"{file}: expected an object whose auths and credHelpers are objects")
    return config


def _key(registry: str) -> str:
    return _DOCKER_KEY if registry == references.DEFAULT_REGISTRY else registry


def _keys(config: dict[str, Any], registry: str) -> list[str]:
    """The keys of ``auths`` that mean the registry, the usual one first: older ones have scheme and path."""
    found = [key for key in config.get("auths", {}) if _means(key, registry)]
    return sorted(found, key=lambda key: key != _key(registry))


def _means(key: str, registry: str) -> bool:
    try:
        return references.parse_registry(key) == registry
    except errors.Invalid:
        return False


def _from_file(config: dict[str, Any], registry: str) -> Credentials | None:
    for key in _keys(config, registry):
        entry = config["auths"][key]
        if not isinstance(entry, dict):
            raise _unusable(key, "expected an object")
        if entry.get("identitytoken") or entry.get("registrytoken"):
            raise _unusable(key, "it is a token in place of a password, which is not supported")
        if entry.get("auth"):
            return _checked(key, *_decoded(key, entry["auth"]))
        if entry.get("username"):
            return _checked(key, entry["username"], entry.get("password"))
    return None


def _decoded(key: str, auth: Any) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except (TypeError, ValueError, binascii.Error):
        raise _unusable(key, "auth is not the base64 of username:password") from None
    return name, password.rstrip("\0")


def _checked(key: str, username: Any, password: Any) -> Credentials:
    if username == _TOKEN_NAME:
        raise _unusable(key, "it is a token in place of a password, which is not supported")
    try:
        return msgspec.convert({"username": username, "password": password}, Credentials)
    except msgspec.ValidationError:
        raise _unusable(key, "expected a username without colon, and a password") from None


def _unusable(key: str, why: str) -> errors.Permanent:
    return errors.Permanent(f"{path()}: the login for {key}: {why}: pydock login {key}")


def _helper(config: dict[str, Any], registry: str) -> str:
    """The name of the program that keeps the registry's login; empty if the file itself does."""
    helpers = config.get("credHelpers", {})
    name = next((helpers[key] for key in helpers if _means(key, registry)), config.get("credsStore") or "")
    if name and not (isinstance(name, str) and _HELPER.fullmatch(name)):
        raise errors.Permanent(f"{path()}: {name!r} is not the name of a credential helper")
    return str(name)


def _from_helper(helper: str, registry: str) -> Credentials | None:
    found = _run(helper, "get", _key(registry))
    if found is None:
        return None
    try:
        answer = json.loads(found)
        username, password = answer["Username"], answer["Secret"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise errors.Permanent(
            f"docker-credential-{helper} get: its answer is no JSON of Username and Secret"
        ) from None
    return _checked(_key(registry), username, password)


def _run(helper: str, verb: str, text: str) -> str | None:
    """What the helper prints; None if it has no such login."""
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, verb], input=text, stdout=subprocess.PIPE, text=True, timeout=_PATIENCE)
    except FileNotFoundError:
        raise errors.Permanent(f"{path()} names the helper {program}, which is not installed") from None
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Permanent(f"{program} {verb} cannot be run: {type(error).__name__}") from None
    except subprocess.TimeoutExpired:
        raise errors.Permanent(f"{program} {verb} did not end within {_PATIENCE:.0f} seconds") from None
    if done.returncode == 0:
        return done.stdout
    if _NONE in done.stdout:
        return None
    # a failed helper's words may have the login in them
    raise errors.Permanent(f"{program} {verb} failed with status {done.returncode}: run it by hand to see why")
