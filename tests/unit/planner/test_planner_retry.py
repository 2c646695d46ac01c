"""Back-off after exits and errors, across reboots."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import planner
from reconciler.kinds.container import runs
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model.keys import Key
from reconciler.model.objects import Desired, Override, Owner
from reconciler.model.observed import Observed
from reconciler.model.view import Entry, Moment

WEB = Key("Container", "default", "web")
NOW = Moment(mono=5000.0, wall=1e9, boot_id="here")
DESIRED = Desired(
    key=WEB, uid="u", generation=3, revision=1, created_at=0.0, labels={}, annotations={}, spec={"image": "x"},
    owner=Owner("api", "test"),
)  # fmt: skip
RAN = ContainerObserved(process="exited", started_mono=4990.0, starts=1, boot_id="here")


def later(seconds: float) -> Moment:
    return Moment(mono=NOW.mono + seconds, wall=NOW.wall + seconds, boot_id=NOW.boot_id)


def test_pauses() -> None:
    assert [runs.backoff(failures) for failures in range(13)] == [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


@given(st.integers(0, 10**9))
def test_pauses_grow_and_are_capped(failures: int) -> None:
    assert runs.backoff(failures) <= runs.backoff(failures + 1) <= 300.0


def test_first_exit_starts_again_at_once() -> None:
    ended = runs.after_exit(RAN, NOW)
    assert (ended.failures, ended.next_start_mono) == (1, NOW.mono)


def test_exits_in_a_row() -> None:
    observed, pauses = RAN, []
    for _ in range(4):
        observed = runs.after_exit(observed, NOW)
        pauses.append(observed.next_start_mono - NOW.mono)
    assert pauses == [0, 1, 2, 4]


@pytest.mark.parametrize(("lasted", "failures"), [(runs.GOOD_RUN - 0.1, 8), (runs.GOOD_RUN, 1)])
def test_a_good_run_starts_over(lasted: float, failures: int) -> None:
    observed = msgspec.structs.replace(RAN, failures=7, started_mono=NOW.mono - lasted)
    assert runs.after_exit(observed, NOW).failures == failures


def test_an_end_by_reboot_counts_against_nobody() -> None:
    observed = msgspec.structs.replace(RAN, process="running", failures=7, next_start_mono=9e9, boot_id="before", pid=7)
    ended = runs.after_exit(observed, NOW)
    assert (ended.failures, ended.next_start_mono, ended.starts, ended.process, ended.pid) == (0, 0.0, 0, "absent", 0)


def test_this_boot_leaves_what_is_of_this_boot() -> None:
    for observed in (RAN, ContainerObserved()):
        assert runs.this_boot(observed, NOW) is observed


def failed(observed: Observed | None, now: Moment, action: str = "start", desired: Desired = DESIRED) -> Observed:
    return planner.after_error(Entry(desired=desired, observed=observed), "it fails", now, action)


def test_errors_double() -> None:
    observed: Observed | None = None
    deadlines = []
    for _ in range(11):
        observed = failed(observed, NOW)
        deadlines.append(observed.retry_mono - NOW.mono)
    assert deadlines == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert observed is not None
    assert (observed.error, observed.error_count, observed.boot_id) == ("it fails", 11, "here")


def test_another_step_or_wish_starts_over() -> None:
    observed = failed(failed(None, NOW), NOW)
    assert observed.error_count == 2
    assert failed(observed, NOW, action="repair").error_count == 1
    wishes = [
        msgspec.structs.replace(DESIRED, generation=4),
        msgspec.structs.replace(DESIRED, override=Override(stopped=True)),
        msgspec.structs.replace(DESIRED, override=Override(restart=1)),
        msgspec.structs.replace(DESIRED, deleting_at=1.0),
    ]
    for wish in wishes:
        assert failed(observed, NOW, desired=wish).error_count == 1


def test_a_reboot_forgets_errors() -> None:
    observed = failed(failed(None, NOW), NOW)
    again = failed(observed, Moment(mono=1.0, wall=NOW.wall, boot_id="next"))
    assert (again.error_count, again.retry_mono) == (1, 2.0)


def test_a_registry_may_ask_for_more() -> None:
    entry = Entry(desired=DESIRED, observed=None)
    assert planner.after_error(entry, "429", NOW, "pull", delay=77.0).retry_mono == NOW.mono + 77
    assert planner.after_error(entry, "429", NOW, "pull", delay=0.5).retry_mono == NOW.mono + 1


def test_success_clears() -> None:
    observed = failed(ContainerObserved(), NOW)
    assert isinstance(observed, ContainerObserved)
    assert planner.after_success(observed) == ContainerObserved(boot_id="here")
    clean = ContainerObserved()
    assert planner.after_success(clean) is clean


@given(st.lists(st.sampled_from([0.0, 0.5, 3.0, 700.0]), min_size=2, max_size=30))
def test_pauses_of_a_crash_loop_never_shrink_without_a_good_run(lasting: list[float]) -> None:
    observed, pauses, mono = RAN, [], NOW.mono
    for lasted in lasting:
        start = max(mono, observed.next_start_mono)
        mono = start + lasted
        ended = msgspec.structs.replace(observed, started_mono=start)
        observed = runs.after_exit(ended, Moment(mono=mono, wall=0.0, boot_id="here"))
        pauses.append((lasted, observed.next_start_mono - mono))
    for (_, before), (lasted, after) in pairwise(pauses):
        assert after == 0 if lasted >= runs.GOOD_RUN else after >= before
