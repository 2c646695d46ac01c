"""pyroute2's message classes and constants, and no more of pyroute2 than these.

``import pyroute2`` loads all of it: 7.2 MB and 56 ms in our controller, where the modules below cost 1.1 MB and 25 ms
(docs/decisions/0007). So for the time of the import a package with the right path and no content stands in for
pyroute2's own. Afterwards all is taken out of ``sys.modules`` again: what we loaded is our copy, and who imports
pyroute2 later gets a whole one. Where pyroute2 is there already, it is used as it is.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import types
from collections.abc import Iterator

_PACKAGE = "pyroute2"


@contextlib.contextmanager
def _without_init(name: str) -> Iterator[None]:
    """Until the end of the block, modules of the package ``name`` load without its ``__init__``."""
    if name in sys.modules:
        yield
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"No package named {name!r}", name=name)
    stand_in = types.ModuleType(name)
    stand_in.__path__ = list(spec.submodule_search_locations)
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        for loaded in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
            del sys.modules[loaded]


with _without_init(_PACKAGE):
    from pyroute2 import netlink
    from pyroute2.netlink import diag, nfnetlink, nlmsg, nlmsgerr, rtnl
    from pyroute2.netlink.nfnetlink import nfctsocket, nfgen_msg
    from pyroute2.netlink.rtnl import ndmsg as neighbours
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import IFF_RUNNING, IFF_UP, ifinfmsg
    from pyroute2.netlink.rtnl.ndmsg import ndmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

__all__ = [
    "IFF_RUNNING",
    "IFF_UP",
    "diag",
    "ifaddrmsg",
    "ifinfmsg",
    "ndmsg",
    "neighbours",
    "netlink",
    "nfctsocket",
    "nfgen_msg",
    "nfnetlink",
    "nlmsg",
    "nlmsgerr",
    "rtmsg",
    "rtnl",
]
