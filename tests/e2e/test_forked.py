"""Daemons that the tests fork are what the installed command makes, seen from outside."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.testing import faults
from reconciler.testing.daemon import BIN, Pydockd
from reconciler.testing.nursery import Nursery

#: lines of /proc/PID/status that a parent hands down, or a process sets for itself
KEPT = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Umask",
        "SigBlk", "SigIgn", "SigCgt")  # fmt: skip
INHERITED = ("exe", "cwd", "root", "ns/net", "ns/mnt")


def seen(pid: int) -> dict[str, str]:
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    kept = {name: value.strip() for name, _, value in lines if name in KEPT}
    # without those above 32, of the C library's threads
    kept["SigCgt"] = kept["SigCgt"][-8:]
    words = [os.fsdecode(word) for word in faults.arguments(pid)]
    # of the installed command the interpreter shows too, and each has its numbers
    words = [
        word for word in words if not word.startswith(("--parent=", "--control-fd=", "--ready-fd=", "--listen-fd="))
    ]
    command = words[words.index(str(BIN / "pydockd")) :] if str(BIN / "pydockd") in words else words
    links = {name: os.readlink(f"/proc/{pid}/{name}") for name in INHERITED}
    limits = Path(f"/proc/{pid}/limits").read_text()
    return kept | links | {"command": " ".join(command), "session": str(os.getsid(pid) == pid), "limits": limits}


def processes(host: Pydockd) -> list[int]:
    """The controller, gunicorn's arbiter and its worker."""
    assert host.process is not None
    arbiter = faults.api_process(host)
    return [host.process.pid, arbiter, max(faults.family(arbiter) - {arbiter})]


def test_what_is_forked_is_what_is_installed(make_host: Callable[..., Pydockd], nursery: Nursery) -> None:
    # by default the API's user has a number of the instance's own
    flags = ("--resync", "3600", "--api-user", "nobody")
    installed, forked = (make_host(born_by=how, flags=flags).start() for how in (None, nursery))
    for one, other in zip(processes(installed), processes(forked), strict=True):
        expected = {name: value.replace(installed.instance, forked.instance) for name, value in seen(one).items()}
        expected["command"] = expected["command"].replace(str(installed.work), str(forked.work))
        assert seen(other) == expected
    asked = [host.request("GET", "/version") for host in (installed, forked)]
    assert asked[0][0] == asked[1][0]
    for words in (("get", "containers"), ("get", "nothing-such"), ("version", "-o", "json")):
        done = [host.cli(*words) for host in (installed, forked)]
        told = [
            (each.returncode, each.stdout.replace(host.instance, ""), each.stderr)
            for each, host in zip(done, (installed, forked), strict=True)
        ]
        assert told[0] == told[1], words
    assert [host.stop() for host in (installed, forked)] == [0, 0]


@pytest.mark.parametrize("end", [Pydockd.kill, Pydockd.stop])
def test_both_processes_end_with_the_daemon(
    make_host: Callable[..., Pydockd], nursery: Nursery, end: Callable[[Pydockd], object]
) -> None:
    host = make_host(born_by=nursery).start()
    found = processes(host)
    end(host)
    faults.until(host, lambda: not [pid for pid in found[1:] if faults.arguments(pid)], 10, "the API to end")
