"""Where an instance's cgroups are: a slice, and in it one group for each container and one for each conmon."""

from __future__ import annotations

import re

from reconciler.drivers.exec import cgroups
from reconciler.errors import Permanent
from reconciler.model import names

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}\Z")
_CONMON = "conmon-"
_PREFIX, _SUFFIX = "pydock-", ".scope"


def check_id(id: str) -> str:
    """``id`` if it can name files, groups and units. Raises ``Permanent``."""
    if not _ID.match(id) or id.startswith(_CONMON):
        raise Permanent(
            f"container id {id!r}: expected up to 128 of A-Z, a-z, 0-9, _ and -, not starting with {_CONMON}"
        )
    return id


class Groups:
    """Paths below a hierarchy's root (``systemd`` False: we make them, True: systemd does), and the units' names."""

    def __init__(self, instance: str, layout: cgroups.Layout, systemd: bool) -> None:
        self.layout = layout
        self.systemd = systemd
        self.slice = names.slice_name(instance)
        self.top = cgroups.slice_path(self.slice) if systemd else self.slice

    def container(self, id: str) -> str:
        return f"{self.top}/{self.container_unit(id) if self.systemd else id}"

    def conmon(self, id: str) -> str:
        return f"{self.top}/{self.conmon_unit(id) if self.systemd else _CONMON + id}"

    def container_unit(self, id: str) -> str:
        return f"{_PREFIX}{id}{_SUFFIX}"

    def conmon_unit(self, id: str) -> str:
        return f"{_PREFIX}{_CONMON}{id}{_SUFFIX}"

    def ids(self) -> set[str]:
        """Every id that has a group."""
        found = cgroups.children(self.layout, self.top)
        if self.systemd:
            found = {
                name[len(_PREFIX) : -len(_SUFFIX)]
                for name in found
                if name.startswith(_PREFIX) and name.endswith(_SUFFIX)
            }
        return {name.removeprefix(_CONMON) for name in found}

    def exist(self, id: str) -> bool:
        return cgroups.exists(self.layout, self.container(id)) or cgroups.exists(self.layout, self.conmon(id))
