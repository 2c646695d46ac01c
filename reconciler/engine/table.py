"""The one table of handlers: every job that the Engine can run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.engine.engine import Handler
from reconciler.engine.handlers import (
    archived,
    committing,
    containers,
    images,
    listing,
    logins,
    logs,
    naming,
    networks,
    pushing,
    reads,
    stored,
    system,
    writes,
)
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts


def _step(run: Callable[[Parts, Job], Any], did: str = "", doing: str = "") -> Handler:
    """A step of the reconciler: in the journal, and in order with other steps of its object."""
    return Handler(run, journal=True, ordered=True, did=did, doing=doing)


TABLE: dict[str, Handler] = {
    # steps of the reconciler
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
    "images": Handler(stored.images),
    "images_unused": Handler(stored.unused),
    "image_inspect": Handler(stored.inspect),
    "image_history": Handler(stored.history),
    "image_tree": Handler(system.tree),
    "system_df": Handler(system.df),
    "collectible": Handler(system.collectible),
    "collect": Handler(system.collect, journal=True),
    "leftovers_remove": Handler(system.remove_leftovers, journal=True),
    "system_check": Handler(system.check, journal=True),
    "image_remove": Handler(stored.remove, journal=True),
    "image_tag": Handler(naming.tag, journal=True),
    "push_image": Handler(pushing.push_image, journal=True),
    "image_save": Handler(archived.save, journal=True),
    "image_load": Handler(archived.load, journal=True),
    "image_import": Handler(archived.import_, journal=True),
    "commit": Handler(committing.commit, journal=True),
    "tags": Handler(listing.tags),
    "search": Handler(listing.search),
    "auth": Handler(logins.auth),
    "login_keep": Handler(logins.keep, journal=True),
    "login_remove": Handler(logins.remove, journal=True),
    "logins": Handler(logins.logins),
    "version": Handler(reads.version),
    "ping": Handler(reads.ping),
    "commands": Handler(reads.commands),
}
