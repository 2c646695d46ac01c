"""The OCI runtime and conmon: found, tried for real, and known by their ways.

A candidate is not believed by its ``--version``: it has to run a program under a container's full
configuration (crun, for one, refuses hosts with a hybrid cgroup layout only then).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence

import msgspec

from reconciler.drivers import commands
from reconciler.errors import Permanent

#: tried in this order when no runtime is named
CANDIDATES = ("crun", "runc")
_SEARCH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_CONMON_ELSEWHERE = ("/usr/libexec/podman", "/usr/lib/podman", "/usr/local/libexec/podman", "/usr/lib/crio")
_TIMEOUT = 30


class Runtime(msgspec.Struct, frozen=True):
    """``kind`` is the name the runtime gives itself (``runc``, ``crun``, …), ``version`` as it writes it."""

    kind: str
    path: str
    version: str

    def known(self) -> bool:
        """Whether its files and protocol are known here: they are then read directly instead of forking it."""
        return self.kind in ("runc", "crun")

    def number(self) -> tuple[int, ...]:
        """The version's leading numbers: ``1.1.5+ds1`` → (1, 1, 5)."""
        match = re.match(r"\d+(\.\d+)*", self.version)
        return tuple(int(part) for part in match.group().split(".")) if match else ()

    def mounts_recursively_read_only(self) -> bool:
        return (self.kind == "runc" and self.number() >= (1, 1)) or (self.kind == "crun" and self.number() >= (1, 4))


def find_conmon() -> str:
    """conmon's path. Raises ``Permanent`` when it is not installed."""
    path = shutil.which("conmon", path=_path(_CONMON_ELSEWHERE))
    if path is None:
        raise Permanent("conmon is not installed: it supervises the containers (Debian: apt install conmon)")
    return path


def choose(wanted: str | None, trial: Callable[[Runtime], None]) -> Runtime:
    """The first runtime that passes ``trial`` (it raises ``Permanent`` saying why not).

    ``wanted``: a name or a path, then nothing else is tried. Raises ``Permanent`` listing what was tried."""
    failures: list[str] = []
    for name in (wanted,) if wanted else CANDIDATES:
        path = name if "/" in name else shutil.which(name, path=_path())
        if path is None or not os.access(path, os.X_OK):
            failures.append(f"{name}: not found" if "/" not in name else f"{name}: no such executable file")
            continue
        try:
            runtime = identify(path)
            trial(runtime)
        except Permanent as error:
            failures.append(f"{name} ({path}): {error.message}")
            continue
        return runtime
    raise Permanent("no OCI runtime works on this host; tried " + "; ".join(failures))


def _path(more: Sequence[str] = ()) -> str:
    return os.pathsep.join(dict.fromkeys([*os.environ.get("PATH", "").split(os.pathsep), *_SEARCH, *more]))


def identify(path: str) -> Runtime:
    """Asks a runtime who it is: ``runc version 1.1.5+ds1``."""
    words = call([path, "--version"]).splitlines()[:1]
    match = re.match(r"(\S+) version:? (\S+)", words[0]) if words else None
    if match is None:
        return Runtime(kind=os.path.basename(path), path=path, version="unknown")
    return Runtime(kind=match[1], path=path, version=match[2])


def call(argv: Sequence[str]) -> str:
    """Runs a short command and returns its output. Raises ``Permanent`` with its last words when it fails."""
    try:
        status, output, errors = commands.run(argv, _TIMEOUT, env={"PATH": _path()})
    except TimeoutError as error:
        raise Permanent(str(error)) from None
    except OSError as error:
        raise Permanent(f"{argv[0]} cannot be run: {error.strerror}") from error
    if status != 0:
        words = (errors or output).strip().splitlines()
        raise Permanent(_plain(words[-1]) if words else f"it ended with code {status}")
    return output


def _plain(line: str) -> str:
    """The message of a logrus line (``time="…" level=error msg="…"``), or the line as it is."""
    match = re.search(r'msg="((?:[^"\\]|\\.)*)"', line)
    return match[1].replace('\\"', '"') if match else line


def warnings(runtime: Runtime) -> tuple[str, ...]:
    """Sentences about known faults of this version."""
    if runtime.kind != "runc" or not runtime.number():
        return ()
    number = runtime.number()
    fixed = (1, 2, 8) <= number < (1, 3) or (1, 3, 3) <= number < (1, 4) or number >= (1, 4)
    if fixed:
        return ()
    return (
        f"runc {runtime.version} lacks the fixes of CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881 (in 1.2.8, 1.3.3 "
        "and 1.4.0): a hostile image may break out of its container; run only images you trust, or upgrade runc",
    )
