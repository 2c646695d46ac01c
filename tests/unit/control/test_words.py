"""What people read of a container and an image that are in trouble, or were."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler import errors
from reconciler.cli import columns
from reconciler.model.keys import Key
from reconciler.testing.loop import IMAGE, Loop, container, container_key

WEB = container_key("web")
KEPT = Key.of("image", "kept")
LOWER = "the memory limit is 32Mi, and 41 MiB are in use: raise the limit, or stop what uses them"


def shown(loop: Loop, key: Key) -> dict[str, Any]:
    """The object as the API shows it."""
    with loop.store.snapshot() as session:
        return session.rendered(loop.entry(key).desired.uid)


def test_an_update_in_place_that_fails_leaves_the_container_ready(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    loop.apply(container("web", resources={"limits": {"memory": "64Mi"}}))

    def refuse(*_: Any, **__: Any) -> None:
        raise errors.Temporary(LOWER)

    with monkeypatch.context() as patched:
        patched.setattr(loop.exec, "set_limits", refuse)
        loop.apply(container("web", resources={"limits": {"memory": "32Mi"}}))
        assert loop.ready(WEB)[0] == "True"
        found = columns.condition(shown(loop, WEB), "UpToDate")
        assert (found["status"], found["message"]) == ("False", LOWER)
        assert columns.status(shown(loop, WEB)) == "Running"
    loop.pass_time(400)
    assert columns.condition(shown(loop, WEB), "UpToDate") == {}


def test_an_image_whose_registry_does_not_answer_says_so_and_stays_ready(loop: Loop) -> None:
    loop.apply(
        {
            "apiVersion": "pydock.dev/v1", "kind": "Image", "metadata": {"name": "kept"},
            "spec": {"reference": IMAGE, "updatePolicy": {"type": "Digest", "interval": "1h"}},
        }
    )  # fmt: skip
    assert columns.condition(shown(loop, KEPT), "UpToDate") == {}
    loop.registry.down = True
    loop.pass_time(2 * 3600)
    found = columns.condition(shown(loop, KEPT), "UpToDate")
    assert (found["status"], found["reason"]) == ("False", "CheckFailed")
    assert found["message"]
    assert (columns.ready(shown(loop, KEPT)), columns.status(shown(loop, KEPT))) == ("True", "Present")
    loop.registry.down = False
    loop.pass_time(400)
    assert columns.condition(shown(loop, KEPT), "UpToDate") == {}


def test_messages_of_made_and_started_say_what_happened(loop: Loop) -> None:
    loop.apply(container("web", command=["sh", "-c", "exit 9"]))
    loop.pass_time(400)
    told = {event.reason: event.message for event in loop.events(WEB)}
    assert told["Created"] == "the container was made, because there is no container yet"
    assert told["Started"] == "its process was started, because it exited with code 9"


def test_the_last_exit_is_kept_when_it_runs_again(loop: Loop) -> None:
    loop.apply(container("web"))
    assert "lastExit" not in shown(loop, WEB)["status"]
    loop.exec.signal(loop.observed("web").incarnation.id, 9)  # type: ignore[union-attr]
    loop.look(WEB)
    loop.pass_time(400)
    status = shown(loop, WEB)["status"]
    assert status["phase"] == "Running"
    assert status["lastExit"]["signal"] == 9
    assert status["lastExit"]["reason"] == "signal"
    assert status["lastExit"]["finishedAt"]
