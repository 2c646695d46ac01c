"""Somebody sets the host's clock: waiting goes by the boot clock, which nobody sets."""

from __future__ import annotations

import msgspec
import pytest

from reconciler import planner
from reconciler.kinds.base import retry
from reconciler.kinds.container import runs
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model.keys import Key
from reconciler.model.objects import Desired, Owner
from reconciler.model.view import Entry, Moment

TEN_YEARS = 10 * 365 * 86400.0
NOW = Moment(mono=5000.0, wall=1.7e9, boot_id="here")
DESIRED = Desired(
    key=Key("Container", "default", "web"), uid="u", generation=3, revision=1, created_at=0.0, labels={},
    annotations={}, spec={"image": "x"}, owner=Owner("api", "test"),
)  # fmt: skip
RAN = ContainerObserved(process="exited", started_mono=4999.0, starts=1, failures=4, boot_id="here")


@pytest.mark.parametrize("moved", [TEN_YEARS, -TEN_YEARS], ids=["forward", "backward"])
class TestTheClockIsMoved:
    def test_between_exits(self, moved: float) -> None:
        there = msgspec.structs.replace(NOW, wall=NOW.wall + moved)
        assert runs.after_exit(RAN, there).next_start_mono == runs.after_exit(RAN, NOW).next_start_mono
        assert runs.after_exit(RAN, there).failures == 5

    def test_between_failed_steps(self, moved: float) -> None:
        once = planner.after_error(Entry(DESIRED, RAN), "no", NOW, "start")
        later = Moment(mono=NOW.mono + 1, wall=NOW.wall + 1 + moved, boot_id="here")
        twice = planner.after_error(Entry(DESIRED, once), "no", later, "start")
        assert (once.retry_mono, twice.retry_mono) == (NOW.mono + 1, later.mono + 2)

    def test_while_a_step_waits_for_its_next_try(self, moved: float) -> None:
        failed = planner.after_error(Entry(DESIRED, RAN), "no", NOW, "start", delay=30.0)
        for passed, wall in ((29.0, NOW.wall + moved), (29.0, NOW.wall)):
            moment = Moment(mono=NOW.mono + passed, wall=wall, boot_id="here")
            assert retry.held_back(Entry(DESIRED, failed), "start", moment)
        moment = Moment(mono=NOW.mono + 31.0, wall=NOW.wall + moved, boot_id="here")
        assert not retry.held_back(Entry(DESIRED, failed), "start", moment)
