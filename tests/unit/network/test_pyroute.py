"""Of pyroute2 the message classes are loaded, and nothing else; a whole one is to be had all the same."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

#: what only a whole pyroute2 brings along
HEAVY = {"pyroute2", "pyroute2.iproute", "pyroute2.ndb.main", "pyroute2.ipdb", "pyroute2.nftables"}


def told(program: str) -> Any:
    """What a fresh interpreter prints, as JSON."""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def imported(module: str) -> set[str]:
    """Every module that an interpreter loads for the sake of ``module``, those too that are taken out again."""
    command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def test_the_controller_loads_the_codecs_only() -> None:
    loaded = imported(
        "reconciler.bootstrap.controller, reconciler.drivers.network.family, reconciler.drivers.exec.family"
    )
    assert {"pyroute2.netlink.rtnl.ifinfmsg", "pyroute2.netlink.diag"} <= loaded
    assert not HEAVY & loaded


def test_a_whole_pyroute2_would_be_noticed() -> None:
    assert {"pyroute2", "pyroute2.iproute"} <= imported("pyroute2")


def test_the_codecs_are_light() -> None:
    """In a controller, where SQLAlchemy has loaded asyncio."""
    program = """
import json, sys
import reconciler.store.opening, reconciler.engine.engine

def private() -> int:
    with open("/proc/self/smaps_rollup") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))

before = private()
from reconciler.drivers.network import pyroute
print(json.dumps([private() - before, sorted(name for name in sys.modules if name.startswith("pyroute2"))]))
"""
    kilobytes, left = told(program)
    assert kilobytes < 4000, "a whole pyroute2 takes 7000"
    assert left == []


def test_a_whole_pyroute2_can_be_loaded_afterwards() -> None:
    program = """
import json, sys
from reconciler.drivers.network import pyroute
import pyroute2
import pyroute2.netlink.rtnl.rtmsg
with pyroute2.IPRoute() as route:
    names = [link.get("ifname") for link in route.get_links()]
print(json.dumps([names, pyroute2.netlink.rtnl.rtmsg.rtmsg is pyroute.rtmsg, len(pyroute2.__all__) > 50]))
"""
    names, shared, whole = told(program)
    assert "lo" in names
    assert not shared
    assert whole


def test_one_that_is_loaded_already_is_used() -> None:
    program = """
import json, sys
import pyroute2
from reconciler.drivers.network import pyroute
from pyroute2.netlink.rtnl.rtmsg import rtmsg
print(json.dumps([rtmsg is pyroute.rtmsg, sys.modules["pyroute2"] is pyroute2]))
"""
    assert told(program) == [True, True]


def test_a_missing_pyroute2_is_named() -> None:
    program = """
import json
from reconciler.drivers.network import pyroute
try:
    with pyroute._without_init("no_such_package"):
        pass
except ModuleNotFoundError as error:
    print(json.dumps(error.name))
"""
    assert told(program) == "no_such_package"
