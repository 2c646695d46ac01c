"""The handlers of jobs that may be asked for, and those that carry out the steps of plans."""

from __future__ import annotations

from reconciler.engine.effects import StepHandler
from reconciler.engine.engine import Handler
from reconciler.engine.handlers import (
    archived,
    committing,
    listing,
    logins,
    logs,
    naming,
    objects,
    pulling,
    pushing,
    reads,
    stored,
    system,
    writes,
)
from reconciler.kinds import table
from reconciler.model import kinds

TABLE: dict[str, Handler] = {
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
    "pull_image": Handler(pulling.pull_image, journal=True),
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


def steps() -> dict[str, StepHandler]:
    """The handlers of all kinds' steps, by action."""
    found = dict(objects.STEPS)
    for kind in kinds.KINDS:
        found |= table.effects(kind.name).steps
    return found
