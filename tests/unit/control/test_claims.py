"""What a plan saw is what its steps carry out, whatever happens between the plan and the step, or during the step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reconciler import errors
from reconciler.engine.effects import StepHandler
from reconciler.engine.job import Job
from reconciler.model.keys import Key
from reconciler.model.plan import Step
from reconciler.testing import images
from reconciler.testing.loop import IMAGE, Loop, container, container_key

WEB = container_key("web")
NEWER = "registry.example/web:2"


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path)
    made.registry.add(NEWER, images.build([b"layer of the next web"], {"Cmd": ["serve", "anew"]}))
    try:
        yield made
    finally:
        made.close()


def before_step(monkeypatch: pytest.MonkeyPatch, loop: Loop, action: str, then: Callable[[], Any]) -> list[str]:
    """Calls ``then`` once, after the plan was made and before the first step of that action is claimed. The returned
    list holds the action once that has happened."""
    take, happened = loop.engine.take, list[str]()

    def taken(step: Step, attempt: int = 1) -> Any:
        if step.action == action and not happened:
            happened.append(action)
            then()
        return take(step, attempt)

    monkeypatch.setattr(loop.engine, "take", taken)
    return happened


def after_check(monkeypatch: pytest.MonkeyPatch, loop: Loop, action: str, then: Callable[[], Any]) -> list[str]:
    """Calls ``then`` once, after the first step of that action was claimed and before it is carried out."""
    claim, happened = loop.engine._claim, list[str]()

    def claimed(handler: StepHandler, job: Job, step: Step) -> Any:
        result = claim(handler, job, step)
        if step.action == action and not happened:
            happened.append(action)
            then()
        return result

    monkeypatch.setattr(loop.engine, "_claim", claimed)
    return happened


def within_call(monkeypatch: pytest.MonkeyPatch, loop: Loop, method: str, then: Callable[[], Any]) -> list[str]:
    """Calls ``then`` once, at the first call of that method of the exec driver: a step is in the middle of its work."""
    call, happened = getattr(loop.exec, method), list[str]()

    def called(*args: Any) -> Any:
        if not happened:
            happened.append(method)
            then()
        return call(*args)

    monkeypatch.setattr(loop.exec, method, called)
    return happened


def edit(loop: Loop, **spec: Any) -> Callable[[], Any]:
    """An apply that does not wait for the loop."""
    return lambda: loop.ask("apply", document=container("web", **spec), manager="test")


def command(loop: Loop) -> tuple[str, ...]:
    """What runs, as the driver was told."""
    (run,) = (run for run in loop.world.runs.values() if run.facts.status == "running")
    return tuple(run.config.argv)


class TestThePlanIsWhatRuns:
    @pytest.mark.parametrize("action", ["create", "start"])
    def test_another_image_after_the_plan_is_what_runs_in_the_end(
        self, monkeypatch: pytest.MonkeyPatch, loop: Loop, action: str
    ) -> None:
        happened = before_step(monkeypatch, loop, action, edit(loop, image=NEWER))
        loop.apply(container("web"))
        assert happened
        assert command(loop) == ("serve", "anew")
        assert loop.ready(WEB)[0] == "True"
        # what was not wanted any more was not made first
        assert [method for method, _ in loop.exec.calls].count("create") == 1

    @pytest.mark.parametrize("method", ["create", "start"])
    def test_another_image_during_a_step_is_what_runs_in_the_end(
        self, monkeypatch: pytest.MonkeyPatch, loop: Loop, method: str
    ) -> None:
        happened = within_call(monkeypatch, loop, method, edit(loop, image=NEWER))
        loop.apply(container("web"))
        assert happened
        assert command(loop) == ("serve", "anew")
        assert loop.ready(WEB)[0] == "True"

    def test_other_limits_between_plan_and_update_are_in_force_in_the_end(
        self, monkeypatch: pytest.MonkeyPatch, loop: Loop
    ) -> None:
        loop.apply(container("web", resources={"limits": {"memory": "64Mi"}}))
        happened = before_step(
            monkeypatch, loop, "update", edit(loop, resources={"limits": {"memory": "96Mi"}}, image=NEWER)
        )
        loop.apply(container("web", resources={"limits": {"memory": "80Mi"}}))
        assert happened
        assert command(loop) == ("serve", "anew")
        (run,) = loop.world.runs.values()
        assert run.limits.memory == 96 << 20

    def test_other_limits_during_an_update_are_in_force_in_the_end(
        self, monkeypatch: pytest.MonkeyPatch, loop: Loop
    ) -> None:
        loop.apply(container("web", resources={"limits": {"memory": "64Mi"}}))
        happened = within_call(monkeypatch, loop, "set_limits", edit(loop, resources={"limits": {"memory": "96Mi"}}))
        loop.apply(container("web", resources={"limits": {"memory": "80Mi"}}))
        assert happened
        (run,) = loop.world.runs.values()
        assert run.limits.memory == 96 << 20


class TestAnEditAfterTheCheck:
    """The step has been found to fit what is wanted, and only then somebody wants something else."""

    @pytest.mark.parametrize("action", ["create", "start"])
    def test_another_image_right_after_the_check_is_what_runs_in_the_end(
        self, monkeypatch: pytest.MonkeyPatch, loop: Loop, action: str
    ) -> None:
        happened = after_check(monkeypatch, loop, action, edit(loop, image=NEWER))
        loop.apply(container("web"))
        assert happened
        assert command(loop) == ("serve", "anew")
        assert loop.ready(WEB)[0] == "True"

    @pytest.mark.parametrize("action", ["create", "start"])
    def test_another_command_right_after_the_check_is_what_runs_in_the_end(
        self, monkeypatch: pytest.MonkeyPatch, loop: Loop, action: str
    ) -> None:
        happened = after_check(monkeypatch, loop, action, edit(loop, command=["other"]))
        loop.apply(container("web"))
        assert happened
        assert command(loop)[0] == "other"

    def test_another_image_right_after_the_check_of_an_update_is_what_runs_in_the_end(
        self, monkeypatch: pytest.MonkeyPatch, loop: Loop
    ) -> None:
        loop.apply(container("web", resources={"limits": {"memory": "64Mi"}}))
        happened = after_check(
            monkeypatch, loop, "update", edit(loop, resources={"limits": {"memory": "96Mi"}}, image=NEWER)
        )
        loop.apply(container("web", resources={"limits": {"memory": "80Mi"}}))
        assert happened
        assert command(loop) == ("serve", "anew")
        (run,) = loop.world.runs.values()
        assert run.limits.memory == 96 << 20


class TestImages:
    def test_an_image_is_kept_for_a_container_made_after_the_plan(
        self, monkeypatch: pytest.MonkeyPatch, loop: Loop
    ) -> None:
        loop.ask("apply", document=image_of(IMAGE), manager="test")
        loop.settle()
        happened = before_step(monkeypatch, loop, "untag", edit(loop))
        loop.delete(Key("Image", "", "web"))
        assert happened
        assert command(loop) == ("serve",)
        with loop.store.snapshot() as session:
            assert session.images.get(IMAGE) is not None
        assert "pull" not in [job.name for job in loop.jobs(WEB)]

    def test_a_pull_whose_beginning_failed_is_taken_up_by_the_next_look(
        self, monkeypatch: pytest.MonkeyPatch, loop: Loop
    ) -> None:
        write, failures = loop.reconciler._write_status, ["disk I/O error"]

        def failing(*args: Any) -> bool:
            if failures:
                assert loop.reconciler._shared.holder(IMAGE) is not None
                raise errors.Temporary(failures.pop())
            return write(*args)

        monkeypatch.setattr(loop.reconciler, "_write_status", failing)
        edit(loop)()
        loop.ask("apply", document=container("other"), manager="test")
        with pytest.raises(errors.Temporary, match="disk I/O error"):
            loop.settle()
        loop.look(container_key("other"))
        assert loop.observed("other").process == "running"


class TestStatus:
    def test_a_status_from_an_old_view_leaves_what_an_update_recorded(self, loop: Loop) -> None:
        loop.apply(container("web", resources={"limits": {"memory": "64Mi"}}))
        view, plan = loop.reconciler._plan(WEB)
        loop.apply(container("web", resources={"limits": {"memory": "80Mi"}}))
        present = loop.observed("web")
        assert present.incarnation is not None
        old = view.live[WEB]
        assert old.observed is not None
        view.live[WEB] = msgspec.structs.replace(old, observed=msgspec.structs.replace(old.observed, conditions=()))
        assert loop.reconciler._write_status(WEB, view, plan)
        assert loop.observed("web").incarnation == present.incarnation


def image_of(reference: str) -> dict[str, Any]:
    return {
        "apiVersion": "pydock.dev/v1", "kind": "Image", "metadata": {"name": "web"}, "spec": {"reference": reference},
    }  # fmt: skip
