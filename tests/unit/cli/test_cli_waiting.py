from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.cli import waiting
from reconciler.testing.api_server import BASE, Answer, Server, status
from reconciler.testing.cli import Run


def ready(status: str = "True", reason: str = "Running", message: str = "", **more: object) -> dict[str, object]:
    condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
    return {"phase": reason, "observedGeneration": 1, "conditions": [condition], **more}


def later(server: Server, *changes: Callable[[], object]) -> threading.Thread:
    """Makes the changes once one more watch has begun."""
    count = server.watches + 1

    def act() -> None:
        server.wait_for_watches(count)
        for change in changes:
            change()

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_ready_at_once(server: Server, pydock: Run) -> None:
    server.put("container", "web", status=ready())
    assert pydock("wait", "--for=condition=Ready", "container/web") == (0, "container/web condition met\n", "")
    assert server.watches == 0


def test_ready_in_a_while(server: Server, pydock: Run) -> None:
    server.put("container", "web", status=ready("False", "Creating"))
    thread = later(
        server,
        lambda: server.put("container", "web", status=ready("False", "Pulling")),
        lambda: server.put("container", "web", status=ready(), metadata={"generation": 2}),
        lambda: server.put("container", "web", status=ready(observedGeneration=2), metadata={"generation": 2}),
    )
    assert pydock("wait", "--for", "condition=ready", "container", "web") == (0, "container/web condition met\n", "")
    thread.join()
    assert server.watches == 1


@pytest.mark.parametrize(
    ("wish", "met"),
    [
        ("condition=Ready", True),
        ("condition=Ready=true", True),
        ("condition=Ready=False", False),
        ("condition=Supervised", False),
        ("jsonpath={.status.phase}=Running", True),
        ("jsonpath={.status.phase}=Stopped", False),
        ("jsonpath={.status.restartCount}=3", True),
        ("jsonpath=.status.restartCount=3", True),
        ("jsonpath={.status.pid}", False),
        ('jsonpath={.status.conditions[?(@.type=="Ready")].status}=True', True),
        ("delete", False),
    ],
)
def test_wishes(server: Server, pydock: Run, wish: str, met: bool) -> None:
    server.put("container", "web", status=ready(restartCount=3))
    ran = pydock("wait", f"--for={wish}", "container/web", "--timeout=0")
    assert ran.status == (0 if met else 1)
    assert ("timed out waiting for" in ran.err) is not met


def test_a_status_of_an_older_spec_does_not_count(server: Server, pydock: Run) -> None:
    server.put("container", "web", status=ready(), metadata={"generation": 2})
    ran = pydock("wait", "--for=condition=Ready", "container/web", "--timeout", "0")
    assert ran == (1, "", "pydock: container/web: timed out waiting for condition Ready: Running\n")


def test_the_timeout_tells_why(server: Server, pydock: Run) -> None:
    server.put("container", "web", status=ready("False", "ImagePullBackOff", "manifest unknown"))
    ran = pydock("wait", "--for=condition=Ready", "container/web", "--timeout=0.05s")
    says = "pydock: container/web: timed out waiting for condition Ready: ImagePullBackOff: manifest unknown\n"
    assert ran == (1, "", says)


def test_waiting_for_the_end(server: Server, pydock: Run) -> None:
    assert pydock("wait", "--for=delete", "container/ghost") == (0, "container/ghost deleted\n", "")
    server.put("container", "web")
    thread = later(server, lambda: server.remove("container", "web"))
    assert pydock("wait", "--for=delete", "container/web") == (0, "container/web deleted\n", "")
    thread.join()


def test_waiting_for_what_is_not_there(server: Server, pydock: Run) -> None:
    ran = pydock("wait", "--for=condition=Ready", "container/ghost")
    assert ran == (1, "", "pydock: container/ghost: containers 'ghost' not found\n")
    server.put("container", "web", status=ready("False"))
    thread = later(server, lambda: server.remove("container", "web"))
    ran = pydock("wait", "--for=condition=Ready", "container/web")
    thread.join()
    assert ran == (1, "", "pydock: container/web: it was deleted\n")


def test_all_of_a_kind(server: Server, pydock: Run) -> None:
    server.put("container", "a", status=ready(), labels={"x": "y"})
    server.put("container", "b", status=ready())
    assert pydock("wait", "--for=condition=Ready", "containers", "--all").out == (
        "container/a condition met\ncontainer/b condition met\n"
    )
    assert pydock("wait", "--for=condition=Ready", "containers", "-l", "x=y").out == "container/a condition met\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--for=ready", "container/web"],
        ["--for=condition=", "container/web"],
        ["--for=delete=x", "container/web"],
        ["--for=jsonpath={.a b}=c", "container/web"],
        ["--for=delete", "containers"],
        ["--for=delete", "container/web", "--all"],
        ["--for=delete", "container/web", "--timeout", "soon"],
        ["container/web"],
    ],
)
def test_a_wrong_command_line(server: Server, pydock: Run, arguments: list[str]) -> None:
    ran = pydock("wait", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("pydock: ")


def act_answers(server: Server, action: str, name: str) -> None:
    path = f"{BASE}/namespaces/default/containers/{name}"
    server.answers[f"POST {path}/{action}"] = lambda request: Answer(server.objects["Container", "default", name])


def test_stop_waits_until_no_process_is_left(server: Server, pydock: Run) -> None:
    server.put("container", "web", status=ready(pid=7))
    act_answers(server, "stop", "web")
    assert pydock("stop", "web") == (0, "container/web stopped\n", "")
    thread = later(server, lambda: server.put("container", "web", status=ready("False", "Stopped")))
    assert pydock("stop", "container/web", "--wait") == (0, "container/web stopped\n", "")
    thread.join()


def test_restart_waits_for_another_process(server: Server, pydock: Run) -> None:
    server.put("container", "web", status=ready(pid=7, startedAt="2025-01-01T00:00:00Z"))
    act_answers(server, "restart", "web")
    ran = pydock("restart", "web", "--wait", "--timeout", "50ms")
    says = "pydock: container/web: timed out waiting for it to be ready again: Running\n"
    assert ran == (1, "container/web restarted\n", says)
    thread = later(
        server, lambda: server.put("container", "web", status=ready(pid=8, startedAt="2025-01-01T00:00:00Z"))
    )
    assert pydock("restart", "web", "--wait") == (0, "container/web restarted\n", "")
    thread.join()


def test_start_goes_on_after_a_failure(server: Server, pydock: Run) -> None:
    server.put("container", "b", status=ready())
    server.answers[f"POST {BASE}/namespaces/default/containers/a/start"] = lambda request: status(404, "no a")
    act_answers(server, "start", "b")
    assert pydock("start", "a", "b", "--wait") == (1, "container/b started\n", "pydock: container/a: no a\n")


def test_delete_waits_for_this_object_not_for_its_successor(server: Server, pydock: Run) -> None:
    first = server.put("container", "web")
    server.answers[f"DELETE {BASE}/namespaces/default/containers/web"] = lambda request: Answer(first)

    def replace() -> None:
        server.remove("container", "web")
        server.put("container", "web")

    thread = later(server, replace)
    assert pydock("delete", "container", "web") == (0, "container/web deleted\n", "")
    thread.join()


def test_delete_tells_what_is_in_the_way(server: Server, pydock: Run) -> None:
    stuck = server.put("container", "web", status=ready("False", "Terminating", "unmounting"))
    server.answers[f"DELETE {BASE}/namespaces/default/containers/web"] = lambda request: Answer(stuck)
    assert pydock("delete", "container/web", "--timeout=50ms") == (
        1,
        "container/web deleted\n",
        "pydock: container/web: timed out waiting for it to be gone: Terminating: unmounting\n",
    )
    assert pydock("delete", "container/web", "--wait=false") == (0, "container/web deleted\n", "")
    assert pydock("delete", "container/web", "--no-wait") == (0, "container/web deleted\n", "")


def test_delete_by_label_all_and_dry_run(server: Server, pydock: Run) -> None:
    server.put("container", "a", labels={"x": "y"})
    server.put("container", "b")
    server.put("container", "other", namespace="batch")
    assert pydock("delete", "containers", "--all", "--dry-run=server").out == (
        "container/a deleted (dry run)\ncontainer/b deleted (dry run)\n"
    )
    assert pydock("delete", "containers", "-l", "x").out == "container/a deleted\n"
    assert pydock("delete", "containers", "--all").out == "container/b deleted\n"
    assert list(server.objects) == [("Container", "batch", "other")]
    assert pydock("delete", "containers", "--all") == (0, "", "No resources found.\n")


def test_delete_of_what_is_not_there(server: Server, pydock: Run) -> None:
    ran = pydock("delete", "container", "ghost")
    assert ran == (1, "", "pydock: container/ghost: container/default/ghost not found\n")
    assert pydock("delete", "container", "ghost", "--ignore-not-found") == (0, "", "")


@pytest.mark.parametrize(
    "arguments", [[], ["containers"], ["container/a", "--all"], ["containers", "--all", "-f", "x.yaml"]]
)
def test_delete_must_know_what(server: Server, pydock: Run, arguments: list[str]) -> None:
    ran = pydock("delete", *arguments)
    assert (ran.status, ran.out) == (2, "")


#: the fixture's clock stands at this moment
NOW = "2025-01-05T00:00:00Z"


def running(pid: int = 7, **more: object) -> dict[str, object]:
    """Ready, for no time yet."""
    return ready(pid=pid, startedAt=NOW, **more)


def applied(server: Server, status: dict[str, object], tmp_path: Path) -> list[str]:
    """The words of ``apply --wait`` of a container that has ``status``."""
    server.put("container", "web", spec={"image": "a"}, status=status)
    file = tmp_path / "web.yaml"
    file.write_text("apiVersion: pydock.dev/v1\nkind: Container\nmetadata: {name: web}\nspec: {image: a}\n")
    return ["apply", "-f", str(file), "--wait"]


@pytest.mark.parametrize("waiter", ["wait", "apply"])
def test_running_for_an_instant_is_not_ready(server: Server, pydock: Run, tmp_path: Path, waiter: str) -> None:
    words = ["wait", "--for=condition=Ready", "co/web"]
    words = applied(server, running(), tmp_path) if waiter == "apply" else words
    server.put("container", "web", status=running())
    code = {"phase": "Failed", "observedGeneration": 1}
    says = {"type": "Ready", "status": "False", "reason": "Failed", "message": "it exited with code 9"}
    thread = later(server, lambda: server.put("container", "web", status={**code, "conditions": [says]}))
    ran = pydock(*words, "--min-ready", "20s", "--timeout", "30s")
    thread.join()
    assert (ran.status, ran.err) == (1, "pydock: container/web: Failed: it exited with code 9\n")


def test_another_process_begins_anew(server: Server, pydock: Run) -> None:
    server.put("container", "web", status=running(pid=7))
    thread = later(server, lambda: server.put("container", "web", status=running(pid=8, restartCount=1)))
    ran = pydock("wait", "--for=condition=Ready", "co/web", "--min-ready", "20s", "--timeout", "200ms")
    thread.join()
    says = "timed out waiting for condition Ready: it has been so for less than 20s"
    assert (ran.status, ran.err) == (1, f"pydock: container/web: {says}\n")
    assert pydock("wait", "--for=condition=Ready", "co/web", "--min-ready", "50ms").status == 0
    assert pydock("wait", "--for=condition=Ready", "co/web", "--min-ready=0").status == 0


def test_what_has_run_for_long_is_ready_at_once(server: Server, pydock: Run) -> None:
    server.put("container", "web", status=ready(pid=7, startedAt="2025-01-04T23:59:00Z", restartCount=3))
    assert pydock("wait", "--for=condition=Ready", "co/web", "--timeout=0").status == 0


#: condition Ready of a container that will not become ready by itself, with its phase
HOPELESS = {
    "ended": ("Failed", "Failed", "it exited with code 7"),
    "crashes": ("BackOff", "CrashLoopBackOff", "it exited with code 1"),
    "no command": ("BackOff", "Error", 'exec: "nosuch": executable file not found in $PATH'),
    "no file": ("BackOff", "Error", "stat /bin/nosuch: no such file or directory"),
    "no image": ("BackOff", "ImagePullBackOff", "registry.example/x:1: it does not have it: manifest unknown"),
    "no right": ("BackOff", "ImagePullBackOff", "registry.example/x:1: access is denied (HTTP 401)"),
    "stopped": ("Stopped", "Stopped", ""),
}


@pytest.mark.parametrize("case", HOPELESS)
@pytest.mark.parametrize("waiter", ["wait", "apply"])
def test_what_is_known_to_fail_fails_at_once(
    server: Server, pydock: Run, tmp_path: Path, waiter: str, case: str
) -> None:
    phase, reason, message = HOPELESS[case]
    status = ready("False", reason, message) | {"phase": phase}
    words = applied(server, status, tmp_path)
    ran = pydock(*(words if waiter == "apply" else ["wait", "--for=condition=Ready", "co/web"]), "--timeout=1h")
    assert ran.status == 1
    assert (message or "it was stopped by hand") in ran.err
    assert server.watches == 0


@pytest.mark.parametrize("waiter", ["wait", "apply"])
def test_a_job_that_ended_well_is_done(server: Server, pydock: Run, tmp_path: Path, waiter: str) -> None:
    status = ready("False", "Completed", "it exited with code 0") | {"phase": "Succeeded"}
    words = applied(server, status, tmp_path)
    assert pydock(*(words if waiter == "apply" else ["wait", "--for=condition=Ready", "co/web"])).status == 0


def test_what_may_still_come_is_waited_for(server: Server, pydock: Run) -> None:
    for reason, message in (("Error", "the bridge is busy"), ("ImagePullBackOff", "it does not answer in time")):
        server.put("container", "web", status=ready("False", reason, message) | {"phase": "BackOff"})
        ran = pydock("wait", "--for=condition=Ready", "co/web", "--timeout=50ms")
        assert "timed out waiting" in ran.err


def test_a_stopped_container_may_be_waited_for_not_to_be_ready(server: Server, pydock: Run) -> None:
    server.put("container", "web", status=ready("False", "Stopped"))
    assert pydock("wait", "--for=condition=Ready=False", "co/web").status == 0


def test_start_does_not_take_the_last_run_for_this_one(server: Server, pydock: Run) -> None:
    failed = ready("False", "Failed", "it exited with code 7", finishedAt="2025-01-01T00:00:00Z") | {"phase": "Failed"}
    server.put("container", "web", status=failed)
    act_answers(server, "start", "web")
    thread = later(server, lambda: server.put("container", "web", status=ready()))
    assert pydock("start", "web", "--wait") == (0, "container/web started\n", "")
    thread.join()


@pytest.mark.parametrize("words", [["co", "-l", "a=typo"], ["co", "--all"], ["all", "-l", "a=typo"]])
def test_waiting_for_nothing_is_no_success(server: Server, pydock: Run, words: list[str]) -> None:
    ran = pydock("wait", *words, "--for=condition=Ready")
    assert ran == (1, "", "pydock: no matching resources found\n")
    assert pydock("wait", *words, "--for=jsonpath={.status.phase}=Running").status == 1
    assert pydock("wait", *words, "--for=delete").status == 0


@pytest.mark.parametrize("wish", ["condition=Ready", "delete"])
def test_a_server_that_stands_still_does_not_stretch_the_timeout(
    server: Server, pydock: Run, monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    monkeypatch.setattr(waiting, "_GRACE", 0.05)
    release = threading.Event()
    server.answers[f"GET {BASE}/namespaces/default/containers"] = lambda request: Answer(release.wait(30))
    ran = pydock("wait", "co/web", f"--for={wish}", "--timeout=50ms")
    release.set()
    assert ran.status == 1
    assert "did not answer within 0." in ran.err
