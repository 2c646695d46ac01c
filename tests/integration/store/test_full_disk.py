"""A full disk: what frees room is written for as long as it takes, and what can be done without is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from reconciler.store import open_store
from reconciler.store.base import Store
from reconciler.testing import disks
from reconciler.testing import store_samples as samples

#: so many commits need more than the log's own reserve, many times over
COMMITS = 1500


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    with disks.small(tmp_path / "disk", 24) as disk:
        yield disk


def fill(disk: Path) -> None:
    disks.fill(disk / "stuff")
    assert os.statvfs(disk).f_bfree == 0


def test_a_full_disk_takes_all_that_removals_write(disk: Path) -> None:
    store = open_store(disk / "state.db")
    with store.transaction() as session:
        uids = [samples.create(session, f"c{number}").uid for number in range(50)]
    # new rows have taken the pages of the beginning: the store keeps others ready
    store.checkpoint()
    fill(disk)
    try:
        for number in range(COMMITS):
            uid = uids[number % len(uids)]
            with store.transaction(durable=False) as session:
                session.observed.put(uid, samples.running(uid, pid=number + 1))
                session.journal.begin("stop", "container/default/web", uid, "it is being deleted", 1, 1.0)
                session.events.record("container/default/web", uid, "Normal", "Stopping", f"try {number}", 1.0)
            if number % 200 == 199:
                # as housekeeping does
                with store.transaction(durable=False) as session:
                    session.changes.compact(100)
                store.checkpoint()
        for uid in uids:
            with store.transaction() as session:
                session.objects.mark_deleting(uid, 2.0)
            with store.transaction() as session:
                session.objects.purge(uid)
    finally:
        store.close()


def test_a_full_disk_takes_neither_journal_nor_events_until_there_is_room_again(disk: Path) -> None:
    store = open_store(disk / "state.db")
    try:
        with store.transaction() as session:
            uid = samples.create(session).uid
        fill(disk)
        assert not _told(store, uid)
        (disk / "stuff").unlink()
        assert _told(store, uid)
    finally:
        store.close()


def _told(store: Store, uid: str) -> bool:
    """Whether a job and an event were kept; what is observed is kept in any case."""
    with store.transaction() as session:
        number = session.journal.begin("stop", "container/default/web", uid, "asked for", 1, 1.0)
        session.events.record("container/default/web", uid, "Normal", "Stopping", "asked for", 1.0)
        present = session.observed.get(uid) or samples.running(uid)
        session.observed.put(uid, msgspec.structs.replace(present, starts=present.starts + 1))
    with store.snapshot() as session:
        assert session.observed.get(uid) is not None
        kept = bool(session.journal.find()), bool(session.events.find())
    assert kept == (bool(number), bool(number))
    return bool(number)
