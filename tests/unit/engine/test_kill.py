"""The job `kill`, and a second deletion that cuts the grace period short."""

from __future__ import annotations

import pytest

from reconciler import errors
from reconciler.kinds.base.sequence import wish
from reconciler.testing.loop import Loop, container, container_key

WEB = container_key("web")


def test_a_signal_reaches_the_process_and_leaves_what_is_wanted(loop: Loop) -> None:
    loop.apply(container("web", restartPolicy="Never"))
    before = wish(loop.entry(WEB).desired)
    loop.ask("signal", namespace="default", name="web", signal="KILL")
    loop.settle()
    assert loop.observed("web").exit_signal == 9
    assert wish(loop.entry(WEB).desired) == before
    assert loop.jobs(WEB)[-1].name == "signal"


def test_a_container_that_does_not_run_gets_no_signal(loop: Loop) -> None:
    loop.apply(container("web", restartPolicy="Never"))
    loop.ask("signal", namespace="default", name="web")
    loop.settle()
    with pytest.raises(errors.Conflict, match="does not run"):
        loop.ask("signal", namespace="default", name="web")


def test_a_word_that_is_no_signal_is_refused(loop: Loop) -> None:
    loop.apply(container("web"))
    with pytest.raises(errors.Invalid, match="is no signal"):
        loop.ask("signal", namespace="default", name="web", signal="NONSENSE")


def test_a_second_deletion_may_shorten_the_grace_period_and_never_lengthen_it(loop: Loop) -> None:
    loop.apply(container("web"))
    loop.ask("delete", kind="Container", namespace="default", name="web", grace=5)
    loop.ask("delete", kind="Container", namespace="default", name="web", grace=0)
    with loop.store.snapshot() as session:
        (entry,) = session.entries([WEB])
    assert entry.desired.deleting_grace == 0
    with pytest.raises(errors.NotFound):
        loop.ask("delete", kind="Container", namespace="default", name="web", grace=30)
