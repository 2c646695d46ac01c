"""Credential helpers: programs ``docker-credential-NAME`` that keep logins in place of a file.

Protocol: https://github.com/docker/docker-credential-helpers. The verb is the argument; registry or login go by
standard input, so that no list of processes shows them.
"""

from __future__ import annotations

import json
import subprocess

from reconciler import errors
from reconciler.cli import docker_config

#: seconds; a helper may ask its user to unlock something
_PATIENCE = 120.0
_NONE = "credentials not found"


def get(helper: str, key: str) -> tuple[object, object] | None:
    """Name and password under ``key``, unchecked; None if there are none."""
    found = _run(helper, "get", key)
    if found is None:
        return None
    try:
        answer = json.loads(found)
        return answer["Username"], answer["Secret"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise errors.Permanent(
            f"docker-credential-{helper} get: its answer is no JSON of Username and Secret"
        ) from None


def store(helper: str, key: str, username: str, password: str) -> None:
    """Has the helper keep a login under ``key``."""
    _run(helper, "store", json.dumps({"ServerURL": key, "Username": username, "Secret": password}))


def erase(helper: str, key: str) -> None:
    """Has the helper forget what it has under ``key``, if anything."""
    _run(helper, "erase", key)


def _run(helper: str, verb: str, text: str) -> str | None:
    """What the helper prints; None if it has no such login."""
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, verb], input=text, stdout=subprocess.PIPE, text=True, timeout=_PATIENCE)
    except FileNotFoundError:
        raise errors.Permanent(f"{docker_config.path()} names the helper {program}, which is not installed") from None
    except (OSError, UnicodeError) as error:
        raise errors.Permanent(f"{program} {verb} cannot be run: {type(error).__name__}") from None
    except subprocess.TimeoutExpired:
        raise errors.Permanent(f"{program} {verb} did not end within {_PATIENCE:.0f} seconds") from None
    if done.returncode == 0:
        return done.stdout
    if _NONE in done.stdout:
        return None
    # a failed helper's words may have the login in them
    raise errors.Permanent(f"{program} {verb} failed with status {done.returncode}: run it by hand to see why")
