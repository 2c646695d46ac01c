"""The one table of handlers: every job that the Engine can run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.engine.engine import Handler
from reconciler.engine.handlers import containers, images, logs, networks, reads, writes
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts


def _step(run: Callable[[Parts, Job], Any]) -> Handler:
    """A step of the reconciler: in the journal, and in order with other steps of its object."""
    return Handler(run, journal=True, ordered=True)


TABLE: dict[str, Handler] = {
    # steps of the reconciler
    "pull": Handler(images.pull, journal=True),
    "untag": _step(images.untag),
    "create": _step(containers.create),
    "start": _step(containers.start),
    "stop": _step(containers.stop),
    "remove": _step(containers.remove),
    "update": _step(containers.update),
    "repair": _step(containers.repair),
    "network_create": _step(networks.create),
    "network_update": _step(networks.update),
    "network_repair": _step(networks.repair),
    "network_remove": _step(networks.remove),
    # what the API asks
    "get": Handler(reads.get),
    "list": Handler(reads.list_),
    "watch": Handler(reads.watch),
    "post": Handler(writes.post),
    "put": Handler(writes.put),
    "apply": Handler(writes.apply),
    "patch": Handler(writes.patch),
    "delete": Handler(writes.delete),
    "override": Handler(writes.override),
    "plan": Handler(writes.plan),
    "logs": Handler(logs.logs),
    "events": Handler(reads.events),
    "jobs": Handler(reads.jobs),
    "sources": Handler(reads.sources),
    "ack": Handler(reads.ack),
    "pull_image": Handler(images.pull_image, journal=True),
    "version": Handler(reads.version),
    "ping": Handler(reads.ping),
    "commands": Handler(reads.commands),
}
