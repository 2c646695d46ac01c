from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

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
