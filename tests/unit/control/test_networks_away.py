"""A Network that goes and comes back while containers use it, and very many containers that wait for one."""

from __future__ import annotations

from reconciler.model.keys import Key
from reconciler.testing.loop import Loop, container, container_key, network

NET = Key("Network", "default", "net")
WEB = container_key("web")


def test_a_network_that_comes_back_before_it_was_torn_down_costs_its_containers_nothing(loop: Loop) -> None:
    loop.apply(network("net"))
    loop.apply(container("web", networks=[{"name": "net"}]))
    before = loop.observed("web")
    assert before.process == "running"
    uid = loop.entry(NET).desired.uid
    loop.ask("delete", kind="Network", namespace="default", name="net")
    # the file is back before anything was looked at, and again after the loop had seen that it was gone
    loop.apply(network("net"))
    after = loop.observed("web")
    assert (after.pid, after.started_at, after.starts) == (before.pid, before.started_at, before.starts)
    assert after.incarnation == before.incarnation
    assert loop.entry(NET).desired.uid == uid or loop.ready(NET)[0] == "True"
    assert loop.ready(WEB)[0] == "True"


def test_a_network_that_is_away_for_a_while_costs_its_containers_nothing(loop: Loop) -> None:
    loop.apply(network("net"))
    loop.apply(container("web", networks=[{"name": "net"}]))
    before = loop.observed("web")
    loop.delete(NET)
    loop.pass_time(3.5)
    loop.apply(network("net"))
    loop.pass_time(3.5)
    after = loop.observed("web")
    assert (after.pid, after.started_at, after.starts) == (before.pid, before.started_at, before.starts)
    assert after.incarnation == before.incarnation
    assert loop.ready(WEB)[0] == "True"
    assert loop.ready(NET)[0] == "True"


def test_many_that_wait_for_a_network_delay_neither_a_repair_nor_a_new_container(loop: Loop) -> None:
    """A look at one of 300 that wait brings no look at the others, and who waits is looked at last."""
    loop.apply(container("web"))
    for number in range(300):
        loop.ask("apply", document=container(f"c{number}", networks=[{"name": "net"}]), manager="test")
        loop.settle()
    assert sum(loop.looks.values()) < 300 * 5, loop.looks
    loop.looks.clear()
    waiting = [container_key(f"c{number}") for number in range(300)]
    loop.reconciler.look(waiting, later=True)
    loop.ask("apply", document=container("new"), manager="test")
    order = []
    for _ in range(6):
        key = loop.reconciler.queue.take(timeout=0)
        assert key is not None
        order.append(key)
        loop.reconciler.reconcile(key)
        loop.reconciler.queue.done(key)
    assert order[0] == container_key("new")
    assert loop.observed("new").process == "running"
