"""Of pyroute2 the message classes are loaded, and nothing else; a whole one is to be had all the same."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

#: what pyroute2's sockets and its package bring along
HEAVY = {"asyncio", "unittest", "pyroute2", "pyroute2.ndb.main", "pyroute2.iproute", "pyroute2.netlink.nlsocket"}


def told(program: str) -> Any:
    """What a fresh interpreter prints, as JSON."""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_the_driver_loads_the_codecs_only() -> None:
    program = """
import json, sys
import reconciler.bootstrap.controller
from reconciler.drivers.network import pyroute
print(json.dumps([sorted(sys.modules), pyroute.ifinfmsg.__module__]))
"""
    loaded, module = told(program)
    assert module == "pyroute2.netlink.rtnl.ifinfmsg"
    assert not HEAVY & set(loaded)
    assert not [name for name in loaded if name.startswith("pyroute2")]


def test_the_codecs_are_light() -> None:
    """Beside a controller's other modules; a whole pyroute2 takes 10 MB and loads 200 modules."""
    program = """
import json, sys
import reconciler.control.reconcile, reconciler.engine.engine, multiprocessing.context

def private() -> int:
    with open("/proc/self/smaps_rollup") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))

modules, memory = len(sys.modules), private()
from reconciler.drivers.network import pyroute
print(json.dumps([len(sys.modules) - modules, private() - memory]))
"""
    modules, kilobytes = told(program)
    assert modules < 20
    assert kilobytes < 4000


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
