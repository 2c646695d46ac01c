"""What steps of networks do."""

from __future__ import annotations

from typing import ClassVar

from reconciler.kinds.network.observed import NetworkFacet
from reconciler.model.tasks import Task


class Create(Task, frozen=True):
    action: ClassVar[str] = "network_create"


class Update(Task, frozen=True):
    action: ClassVar[str] = "network_update"
    moves_users: ClassVar[bool] = True


class Repair(Task, frozen=True):
    action: ClassVar[str] = "network_repair"
    mends: ClassVar[bool] = True
    facets: tuple[NetworkFacet, ...]


class Remove(Task, frozen=True):
    """``bridge`` is the one it has; empty: none was recorded."""

    action: ClassVar[str] = "network_remove"
    bridge: str
