"""Logins for registries, kept where docker keeps them: by a credential helper, or in docker's config.json."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from reconciler import errors
from reconciler.cli import docker_config, helpers, report
from reconciler.model import loose
from reconciler.model.credentials import Credentials

#: the name that helpers give to a token in place of a password
_TOKEN_NAME = "<token>"
_EXPECTED = "expected a username without colon, and a password"


def find(registry: str) -> Credentials | None:
    """The stored login for ``registry`` (named as in references), if there is one. Raises ``Permanent`` for one that
    cannot be used."""
    config = docker_config.read()
    helper = docker_config.helper(config, registry)
    return _from_helper(helper, registry) if helper else _from_file(config, registry)


def usable(registry: str) -> Credentials | None:
    """The stored login for ``registry``, if there is one that can be used. One that cannot is reported and is no error:
    the registry may want no login."""
    try:
        return find(registry)
    except errors.Permanent as error:
        report.line(f"{error.message} (going on without a login)")
        return None


def keep(registry: str, credentials: Credentials) -> str:
    """Keeps a login. Returns the file that has it unencrypted; empty if a helper keeps it."""
    with docker_config.changing() as config:
        helper = docker_config.helper(config, registry)
        key = docker_config.key(registry)
        if helper:
            helpers.store(helper, key, credentials)
        for other in docker_config.keys(config, registry):
            del config["auths"][other]
        # with a helper docker leaves an empty entry, by which its logout knows
        config.setdefault("auths", {})[key] = {} if helper else {"auth": credentials.basic()}
    return "" if helper else str(docker_config.path())


def forget(registry: str) -> bool:
    """Forgets the login for ``registry``. Returns whether there was one."""
    config = docker_config.read()
    if not docker_config.helper(config, registry) and not docker_config.keys(config, registry):
        return False
    with docker_config.changing() as config:
        helper = docker_config.helper(config, registry)
        had = bool(found := docker_config.keys(config, registry))
        if helper:
            had = helpers.get(helper, docker_config.key(registry)) is not None or had
            helpers.erase(helper, docker_config.key(registry))
        for key in found:
            del config["auths"][key]
    return had


def make(username: str, password: str | bytes) -> Credentials:
    """A login that was typed or piped in; the bytes of the password need not be UTF-8. Raises ``Invalid`` without
    repeating any of it."""
    try:
        raw = password if isinstance(password, bytes) else password.encode(errors="surrogateescape")
        return _login(username, *_text(raw))
    except (msgspec.ValidationError, UnicodeError):
        raise errors.Invalid(
            "a username has 1 to 255 characters, without colon and control characters, and a password up to 16384"
        ) from None


def _from_file(config: dict[str, Any], registry: str) -> Credentials | None:
    for key in docker_config.keys(config, registry):
        try:
            entry = loose.folded(config["auths"][key] or {})
        except TypeError:
            raise _unusable(key, "expected an object") from None
        if entry.get("identitytoken") or entry.get("registrytoken"):
            raise _unusable(key, "it is a token in place of a password, which is not supported")
        if entry.get("auth"):
            return _checked(key, *_decoded(key, entry["auth"]))
        if entry.get("username"):
            return _checked(key, entry["username"], entry.get("password", ""))
    return None


def _from_helper(helper: str, registry: str) -> Credentials | None:
    key = docker_config.key(registry)
    found = helpers.get(helper, key)
    return None if found is None else _checked(key, *found)


def _decoded(key: str, auth: Any) -> tuple[str, str, str]:
    """Name, password and encoding. White space in the base64 does not count, as for docker."""
    try:
        raw = base64.b64decode("".join(auth.split()), validate=True)
    except (AttributeError, ValueError):
        raise _unusable(key, "auth is not the base64 of username:password") from None
    if b":" not in raw:
        raise _unusable(key, _EXPECTED)
    text, encoding = _text(raw.rstrip(b"\0"))
    name, _, password = text.partition(":")
    return name, password, encoding


def _text(raw: bytes) -> tuple[str, str]:
    """The text of a login, and the encoding that gives its bytes again."""
    try:
        return raw.decode(), "utf-8"
    except UnicodeDecodeError:
        return raw.decode("latin-1"), "latin-1"


def _checked(key: str, username: Any, password: Any, encoding: str = "utf-8") -> Credentials:
    if username == _TOKEN_NAME:
        raise _unusable(key, "it is a token in place of a password, which is not supported")
    try:
        return _login(username, password, encoding)
    except (msgspec.ValidationError, UnicodeError):
        raise _unusable(key, _EXPECTED) from None


def _login(username: Any, password: Any, encoding: str) -> Credentials:
    return msgspec.convert({"username": username, "password": password, "encoding": encoding}, Credentials)


def _unusable(key: str, why: str) -> errors.Permanent:
    return errors.Permanent(f"{docker_config.path()}: the login for {key}: {why}: pydock login {key}")
