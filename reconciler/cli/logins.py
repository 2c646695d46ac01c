"""Logins for registries, kept where docker keeps them: a credential helper, or docker's config.json itself."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from reconciler import errors
from reconciler.cli import docker_config, helpers, session
from reconciler.model.credentials import Credentials

T = TypeVar("T")

#: the name under which helpers give a token that is no password
_TOKEN_NAME = "<token>"


def find(registry: str) -> Credentials | None:
    """The login for ``registry`` (as a reference has it), if one is kept. Raises ``Permanent`` for one that cannot be
    used."""
    config = docker_config.read()
    helper = docker_config.helper(config, registry)
    return _from_helper(helper, registry) if helper else _from_file(config, registry)


def used(run: session.Session, registry: str, ask: Callable[[Credentials | None], T]) -> T:
    """What ``ask`` gives with the login that is kept. At a terminal a registry that wants another has it asked for."""
    kept = find(registry)
    try:
        return ask(kept)
    except errors.LoginNeeded as error:
        from reconciler.cli import asking, report

        if not asking.possible():
            raise
        report.line(error.message)
        login = asking.ask(registry, usual=kept.username if kept else "")
        asking.enter(run, registry, login)
        return ask(login)


def keep(registry: str, credentials: Credentials) -> str:
    """Keeps a login; the file that has it unencrypted, empty if a helper keeps it."""
    with docker_config.changing() as config:
        helper = docker_config.helper(config, registry)
        key = docker_config.key(registry)
        if helper:
            helpers.store(helper, key, credentials.username, credentials.password)
        for other in docker_config.keys(config, registry):
            del config["auths"][other]
        # with a helper docker leaves an empty entry, by which its logout knows
        config.setdefault("auths", {})[key] = {} if helper else {"auth": credentials.basic()}
    return "" if helper else str(docker_config.path())


def forget(registry: str) -> bool:
    """Forgets the login for ``registry``; whether there was one."""
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


def make(username: str, password: str) -> Credentials:
    """A login that was typed or piped in. Raises ``Invalid``, which does not repeat it."""
    try:
        return msgspec.convert({"username": username, "password": password}, Credentials)
    except (msgspec.ValidationError, UnicodeError):
        raise errors.Invalid(
            "a username has 1 to 255 characters and no colon, a password 1 to 16384 characters, and neither has "
            "control characters"
        ) from None


def _from_file(config: dict[str, Any], registry: str) -> Credentials | None:
    for key in docker_config.keys(config, registry):
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


def _from_helper(helper: str, registry: str) -> Credentials | None:
    key = docker_config.key(registry)
    found = helpers.get(helper, key)
    return None if found is None else _checked(key, *found)


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
    return errors.Permanent(f"{docker_config.path()}: the login for {key}: {why}: pydock login {key}")
