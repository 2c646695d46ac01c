"""Credential helpers: programs ``docker-credential-NAME`` that keep logins in place of a file.

Protocol: https://github.com/docker/docker-credential-helpers. The verb is the argument; registry or login go by
standard input, so that no list of processes shows them.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import threading
import time

from reconciler import errors
from reconciler.cli import docker_config
from reconciler.model import loose
from reconciler.model.credentials import Credentials

#: seconds; a helper may ask its user to unlock something
_PATIENCE = 120.0
#: bytes of an answer
_MOST = 1 << 20
#: seconds between two looks whether a helper has ended that left its output open to another program
_LOOK = 0.1
_NONE = "credentials not found"


def get(helper: str, key: str) -> tuple[object, object] | None:
    """Name and password under ``key``, unchecked; None if there are none. Raises ``Permanent`` if the helper cannot
    tell."""
    found = _run(helper, "get", key)
    if found is None or not found.strip():
        return None
    try:
        answer = loose.folded(json.loads(found))
    except (ValueError, TypeError, RecursionError):
        raise errors.Permanent(f"docker-credential-{helper} get: its answer is not a JSON object") from None
    login = answer.get("username", ""), answer.get("secret", "")
    return login if any(login) else None


def store(helper: str, key: str, login: Credentials) -> None:
    """Has the helper keep a login under ``key``. Raises ``Permanent`` if it does not."""
    if login.encoding != "utf-8":
        raise errors.Permanent(f"docker-credential-{helper} keeps UTF-8 only, which the password is not")
    _run(helper, "store", json.dumps({"ServerURL": key, "Username": login.username, "Secret": login.password}))


def erase(helper: str, key: str) -> None:
    """Has the helper forget what it has under ``key``, if anything. Raises ``Permanent`` if it does not."""
    _run(helper, "erase", key)


def _run(helper: str, verb: str, text: str) -> bytes | None:
    """What the helper prints; None if it has no such login."""
    program = f"docker-credential-{helper}"
    printed, status = _talk(program, verb, text.encode())
    if status == 0:
        return printed
    if _NONE in printed.decode(errors="replace").lower():
        return None
    how = f"failed with status {status}" if status > 0 else f"was killed by signal {-status}"
    # a failed helper's words may have the login in them
    raise errors.Permanent(f"{program} {verb} {how}: run it by hand to see why")


def _talk(program: str, verb: str, text: bytes) -> tuple[bytes, int]:
    """What the program prints for ``text``, and its exit status (negative: a signal's number)."""
    try:
        process = subprocess.Popen([program, verb], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    except FileNotFoundError:
        raise errors.Permanent(f"{docker_config.path()} names the helper {program}, which is not installed") from None
    except OSError as error:
        raise errors.Permanent(f"{program} {verb} cannot be run: {(error.strerror or str(error)).lower()}") from None
    begun = time.monotonic()
    killer = threading.Timer(_PATIENCE, process.kill)
    killer.start()
    try:
        with process:
            printed = _printed(process, text)
            process.kill() if len(printed) > _MOST else process.wait()
    finally:
        process.kill()
        killer.cancel()
    if len(printed) > _MOST:
        raise errors.Permanent(f"{program} {verb} printed more than {_MOST} bytes")
    if time.monotonic() - begun >= _PATIENCE:
        raise errors.Permanent(f"{program} {verb} did not end within {_PATIENCE:.0f} seconds")
    return printed, process.returncode


def _printed(process: subprocess.Popen[bytes], text: bytes) -> bytes:
    """The output for ``text``, up to its end or the program's: what it has started may keep the output open."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # it need not read
        process.stdin.write(text)
    process.stdin.close()
    poll, printed = select.poll(), b""
    poll.register(process.stdout, select.POLLIN)
    while len(printed) <= _MOST:
        ended = process.poll() is not None
        ready = poll.poll(0 if ended else _LOOK * 1000)
        piece = os.read(process.stdout.fileno(), _MOST) if ready else b""
        printed += piece
        if not piece and (ready or ended):
            break
    return printed
