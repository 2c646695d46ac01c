"""A session: the repositories over one connection in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from reconciler import errors
from reconciler.kinds import render
from reconciler.model.keys import Key
from reconciler.model.view import Entry
from reconciler.store import base
from reconciler.store.changes import SqlChanges
from reconciler.store.entries import all_entries, entries_of, entry, pages
from reconciler.store.events import SqlEvents
from reconciler.store.images import SqlImages
from reconciler.store.journal import SqlJournal
from reconciler.store.leases import SqlLeases
from reconciler.store.memory import SqlFacts, SqlSources
from reconciler.store.objects import SqlObjects
from reconciler.store.observed import SqlObserved
from reconciler.store.refs import SqlRefs
from reconciler.store.relations import SqlRelations
from reconciler.store.sql import Link


class SqlSession:
    """``base.Session``. ``revision`` is the last one taken in it, 0 for none. ``short``: the disk is all but full, and
    neither events nor the journal are written."""

    objects: base.Objects
    observed: base.ObservedStates
    changes: base.Changes
    journal: base.Journal
    events: base.Events
    leases: base.Leases
    images: base.Images
    relations: base.Relations
    refs: base.Refs
    sources: base.SourceStates
    facts: base.Facts

    def __init__(self, link: Link, short: bool = False) -> None:
        self.short = short
        self._link = link.lend()
        self._changes = SqlChanges(self._link)
        leases = SqlLeases(self._link)
        self.changes = self._changes
        self.leases = leases
        refs = SqlRefs(self._link)
        self.refs = refs
        self.objects = SqlObjects(self._link, self._changes, leases, refs)
        self.observed = SqlObserved(self._link, self._changes, refs)
        self.journal = SqlJournal(self._link, short)
        self.events = SqlEvents(self._link, short)
        self.images = SqlImages(self._link)
        self.relations = SqlRelations(self._link)
        self.sources = SqlSources(self._link)
        self.facts = SqlFacts(self._link)

    @property
    def revision(self) -> int:
        return self._changes.taken

    def entries(self, keys: Iterable[Key] | None = None) -> list[Entry]:
        """Ordered by kind, namespace, name, uid."""
        return all_entries(self._link) if keys is None else entries_of(self._link, keys)

    def pages(self, kind: str, namespace: str = "", after: base.Place = base.FIRST) -> Iterator[list[Entry]]:
        return pages(self._link, kind, namespace, after)

    def rendered(self, uid: str) -> dict[str, Any]:
        found = entry(self._link, uid)
        if found is None:
            raise errors.NotFound(f"no object has uid {uid}")
        return render.api_object(found.desired, found.observed)

    def end(self) -> None:
        """Using the session from now on is an error."""
        self._link.retire()
