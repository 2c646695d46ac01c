"""Many images and many containers: what is asked of the relations stays quick."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from reconciler.images import disk_sizes, garbage, usage
from reconciler.model.collection import Policy
from reconciler.store import open_store
from reconciler.testing import store_samples
from reconciler.testing.loop import Loop


def test_who_uses_500_images_among_10000_containers_is_asked_in_time(tmp_path: Path) -> None:
    store = open_store(tmp_path / "state.db")
    with store.transaction(durable=False) as session:
        for number in range(500):
            session.images.put(*store_samples.image(f"docker.io/library/nginx:{number}", number, layers=8))
        for number in range(10_000):
            spec = {**store_samples.SPEC, "image": f"nginx:{number % 500}"}
            made = session.objects.create(store_samples.key(f"c{number}"), {}, {}, spec, store_samples.FILE, 1.0)
            running = store_samples.running(made.uid)
            assert running.incarnation is not None
            of = msgspec.structs.replace(running.incarnation, image_id=f"sha256:{number % 500 + 1000:064x}")
            session.observed.put(made.uid, msgspec.structs.replace(running, incarnation=of))
    took: list[float] = []
    # the best of so many tells what it needs: what runs beside us on the machine slows single ones
    while len(took) < 5 or (min(took) >= 0.15 and len(took) < 40):
        began = time.thread_time()
        with store.snapshot() as session:
            using = usage.users(session)
            chains, known = session.relations.chains(), session.relations.sizes("layer")
            shown = [usage.shown(facts, using, disk_sizes.Shares({}, {})) for facts in session.images.all()]
        disk_sizes.Shares(chains, known)
        took.append(time.thread_time() - began)
        assert {len(each["usedBy"]) for each in shown} == {20}
    store.close()
    assert min(took) < 0.15, took


def test_a_look_at_1000_images_for_what_is_due_is_done_in_time(tmp_path: Path) -> None:
    loop = Loop(tmp_path, open_store(tmp_path / "state.db"))
    try:
        with loop.store.transaction(durable=False) as session:
            for number in range(1000):
                session.images.put(*store_samples.image(f"docker.io/library/nginx:{number}", number, layers=8))
            for number in range(1000):
                spec = {**store_samples.SPEC, "image": f"nginx:{number % 500}"}
                session.objects.create(store_samples.key(f"c{number}"), {}, {}, spec, store_samples.FILE, 1.0)
        loop.set_images(policy=Policy(max_age=1.0))
        garbage.mark(loop.parts.images)
        loop.clock.ahead += 3600.0
        took = []
        for _ in range(5):
            began = time.thread_time()
            garbage.mark(loop.parts.images)
            due = garbage.plan(loop.parts.images)
            took.append(time.thread_time() - began)
            assert len(due.old) == 500
    finally:
        loop.close()
    assert min(took) < 0.5, took
    print(f"a look took {min(took) * 1000:.0f} ms")
