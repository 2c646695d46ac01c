"""What is kept of endpoints."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.drivers.network.events import Events
from reconciler.drivers.network.kept import Kept, State
from reconciler.drivers.network.namespaces import Namespaces
from reconciler.testing.wait import until


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    events = Events()
    yield Kept(Namespaces(tmp_path / "netns"), events)
    events.close()


def states(kept: Kept) -> dict[str, State]:
    return kept._states


def test_nothing_is_kept_of_an_endpoint_without_a_namespace(kept: Kept) -> None:
    with kept.hold("uid-1") as state:
        assert kept.find("uid-1", state) is None
        assert states(kept) == {"uid-1": state}
    assert states(kept) == {}
    with pytest.raises(OSError, match="any"), kept.hold("uid-1"):
        raise OSError("any")
    assert states(kept) == {}


def test_what_is_begun_anew_while_the_old_is_left_stays(kept: Kept) -> None:
    with kept.hold("uid-1") as old:
        kept.forget("uid-1", old)
        successor = states(kept).setdefault("uid-1", State())
    assert states(kept) == {"uid-1": successor}


def test_who_waited_for_what_is_gone_gets_a_state_that_is_kept(kept: Kept) -> None:
    order: list[str] = []

    def second() -> None:
        with kept.hold("uid-1") as mine:
            order.append("second")
            assert states(kept) == {"uid-1": mine}

    with kept.hold("uid-1") as state:
        waiting = threading.Thread(target=second)
        waiting.start()
        until(lambda: waiting.is_alive() and state.lock.locked(), 5.0, "the second to wait")
        order.append("first")
    waiting.join(5.0)
    assert order == ["first", "second"]
    assert states(kept) == {}
