"""The steps of the reconciler, each with its handler. What the API asks stands in ``reconciler.jobs``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.engine.engine import Handler
from reconciler.engine.handlers import containers, images, networks
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts


def _step(run: Callable[[Parts, Job], Any], did: str = "", doing: str = "") -> Handler:
    """A step of the reconciler: in the journal, and in order with other steps of its object."""
    return Handler(run, journal=True, ordered=True, did=did, doing=doing)


TABLE: dict[str, Handler] = {
    "check": _step(images.check),
    "pull": Handler(images.pull, journal=True, doing="Pulling", did="Pulled"),
    "untag": _step(images.untag, "Removed"),
    "create": _step(containers.create, "Created"),
    "start": _step(containers.start, "Started"),
    "stop": _step(containers.stop, doing="Stopping"),
    "remove": _step(containers.remove, "Removed"),
    "update": _step(containers.update, "Updated"),
    "repair": _step(containers.repair, "Repaired"),
    "network_create": _step(networks.create, "Created"),
    "network_update": _step(networks.update, "Updated"),
    "network_repair": _step(networks.repair, "Repaired"),
    "network_remove": _step(networks.remove, "Removed"),
}
