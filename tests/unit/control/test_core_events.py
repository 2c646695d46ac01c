"""The kernel listener: descriptors that were closed and given anew, comparisons that fail."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import pytest

from reconciler import errors
from reconciler.control.events import Events
from reconciler.drivers.network.base import EndpointConfig, NetworkConfig
from reconciler.model.keys import Key
from reconciler.testing import wait
from reconciler.testing.descriptors import high_numbers
from reconciler.testing.loop import Loop, container, container_key

WEB = container_key("web")


@pytest.fixture
def heard() -> list[Key]:
    return []


@pytest.fixture
def events(loop: Loop, heard: list[Key]) -> Iterator[Events]:
    def look(keys: Iterable[Key], closely: bool) -> None:
        heard.extend(keys)

    made = Events(loop.parts, look)
    try:
        yield made
    finally:
        made.close()


def watched(events: Events, loop: Loop) -> int:
    """The descriptor by which the container ``web`` is watched."""
    loop.apply(container("web"))
    events.track(WEB, [loop.entry(WEB)])
    (tracked,) = events._tracked.values()
    return tracked.fds[0]


def test_a_late_word_of_a_closed_descriptor_closes_nothing_of_others(events: Events, loop: Loop) -> None:
    fd = watched(events, loop)
    events.track(WEB, [])
    other, end = os.pipe()
    try:
        os.dup2(other, fd)
        events._ended(fd)
        os.fstat(fd)
    finally:
        for each in {other, end, fd}:
            os.close(each)


def test_a_late_word_does_not_end_the_watch_of_a_new_process(events: Events, loop: Loop, heard: list[Key]) -> None:
    fd = watched(events, loop)
    events._ended(fd)
    assert heard == []
    assert fd in events._by_fd


def test_a_comparison_that_fails_is_repeated(events: Events, loop: Loop, heard: list[Key]) -> None:
    loop.apply(container("web"))
    events.track(WEB, [loop.entry(WEB)])
    uid = loop.entry(WEB).desired.uid
    drift, failed = loop.network.drift, []

    def busy_once(networks: object, endpoints: object) -> object:
        if not failed:
            failed.append(True)
            raise errors.Temporary("nftables: busy")
        return drift(networks, endpoints)  # type: ignore[arg-type]

    loop.network.drift = busy_once  # type: ignore[method-assign,assignment]
    events.start()
    loop.network.host.damage_endpoint("test", uid, "route")
    wait.until(lambda: WEB in heard, 5.0, "the damage to be heard of")
    assert failed


def test_a_limit_that_was_written_before_it_is_watched_is_seen(events: Events, loop: Loop, heard: list[Key]) -> None:
    loop.apply(container("web", resources={"limits": {"memory": "64Mi"}}))
    (run,) = loop.world.runs.values()
    sound, run.limits = run.limits, msgspec.structs.replace(run.limits, memory=32 << 20)
    events.track(WEB, [loop.entry(WEB)])
    assert heard == [WEB]
    run.limits = sound
    events.track(WEB, [])
    events.track(WEB, [loop.entry(WEB)])
    assert heard == [WEB]


def test_what_was_taken_before_its_container_is_watched_is_seen(events: Events, loop: Loop, heard: list[Key]) -> None:
    loop.apply(container("web"))
    entry = loop.entry(WEB)
    drift, compared = loop.network.drift, []

    def counted(networks: Sequence[NetworkConfig], endpoints: Sequence[EndpointConfig]) -> object:
        compared.append(len(endpoints))
        return drift(networks, endpoints)

    loop.network.drift = counted  # type: ignore[method-assign,assignment]
    events.start()
    loop.network.host.damage_endpoint("test", entry.desired.uid, "route")
    wait.until(lambda: compared, 5.0, "the damage to be looked at")
    assert compared == [0]
    assert heard == []
    events.track(WEB, [entry])
    wait.until(lambda: WEB in heard, 5.0, "the damage to be heard of")


def test_a_word_of_a_high_descriptor_is_understood(events: Events, loop: Loop, heard: list[Key]) -> None:
    with high_numbers():
        fd = watched(events, loop)
        assert fd >= 1024
        events._ended(fd)
        assert heard == []
        events.track(WEB, [])
