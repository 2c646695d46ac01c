from __future__ import annotations

import json
import os
import signal
import threading

import pytest
import yaml

from reconciler.testing.api_server import BASE, Server, status
from reconciler.testing.cli import Run

READY = {"type": "Ready", "status": "True", "reason": "Running", "message": ""}
RUNNING = {
    "phase": "Running",
    "pid": 4711,
    "restartCount": 2,
    "imageDigest": "sha256:" + "ab" * 32,
    "addresses": [{"network": "default", "address": "10.88.0.2"}, {"network": "back", "address": "10.89.0.2"}],
    "conditions": [READY],
}
WAITING = {
    "phase": "BackOff",
    "conditions": [{"type": "Ready", "status": "False", "reason": "ImagePullBackOff", "message": "no such image"}],
}
PORTS = [
    {"hostPort": 8080, "containerPort": 80},
    {"hostPort": 53, "containerPort": 53, "protocol": "UDP", "hostIP": "127.0.0.1"},
]


def fill(server: Server) -> None:
    server.put("container", "web", spec={"image": "nginx:1", "ports": PORTS}, status=RUNNING, labels={"app": "web"})
    server.put("container", "db", spec={"image": "docker.io/library/postgres:16"}, status=WAITING)
    server.put("container", "job", namespace="batch", spec={"image": "busybox"})


def test_containers(server: Server, pydock: Run) -> None:
    fill(server)
    assert pydock("get", "containers") == (
        0,
        "NAME   READY   STATUS             RESTARTS   AGE   IMAGE                           PORTS\n"
        "db     False   ImagePullBackOff   0          4d    docker.io/library/postgres:16   <none>\n"
        "web    True    Running            2          4d    nginx:1                         "
        "8080->80/tcp,127.0.0.1:53->53/udp\n",
        "",
    )


def test_wide(server: Server, pydock: Run) -> None:
    server.put("container", "web", spec={"image": "nginx:1"}, status=RUNNING)
    assert pydock("get", "containers", "-o", "wide").out == (
        "NAME   READY   STATUS    RESTARTS   AGE   IMAGE     PORTS    PID    ADDRESS               IMAGE DIGEST\n"
        "web    True    Running   2          4d    nginx:1   <none>   4711   10.88.0.2,10.89.0.2   sha256:"
        + "ab" * 32
        + "\n"
    )


def test_all_namespaces(server: Server, pydock: Run) -> None:
    fill(server)
    assert pydock("get", "ctr", "-A", "--no-headers").out == (
        "batch     job   Unknown   Pending            0   4d   busybox                         <none>\n"
        "default   db    False     ImagePullBackOff   0   4d   docker.io/library/postgres:16   <none>\n"
        "default   web   True      Running            2   4d   nginx:1                         "
        "8080->80/tcp,127.0.0.1:53->53/udp\n"
    )


def test_images_and_networks(server: Server, pydock: Run) -> None:
    image = {"phase": "Present", "digest": "sha256:1", "size": 4_500_000, "conditions": [READY]}
    server.put("image", "nginx", spec={"reference": "nginx:1"}, status=image)
    network = {
        "phase": "Active",
        "subnet": "10.88.0.0/24",
        "gateway": "10.88.0.1",
        "bridge": "pdb1",
        "conditions": [READY],
    }
    server.put("network", "back", status=network, metadata={"deletionTimestamp": "2025-01-02T00:00:00Z"})
    assert pydock("get", "images").out == (
        "NAME    READY   STATUS    AGE   REFERENCE   SIZE\n"
        "nginx   True    Present   4d    nginx:1     4.3MiB\n"
    )  # fmt: skip
    assert pydock("get", "net", "-o=wide").out == (
        "NAME   READY   STATUS        AGE   SUBNET         GATEWAY     BRIDGE\n"
        "back   True    Terminating   4d    10.88.0.0/24   10.88.0.1   pdb1\n"
    )


def test_all_kinds(server: Server, pydock: Run) -> None:
    server.put("container", "web", spec={"image": "a"})
    server.put("image", "a", spec={"reference": "a"})
    assert pydock("get", "all").out == (
        "NAME            READY     STATUS    RESTARTS   AGE   IMAGE   PORTS\n"
        "container/web   Unknown   Pending   0          4d    a       <none>\n"
        "\n"
        "NAME      READY     STATUS    AGE   REFERENCE   SIZE\n"
        "image/a   Unknown   Pending   4d    a           <none>\n"
    )


def test_by_name_and_by_label(server: Server, pydock: Run) -> None:
    fill(server)
    assert pydock("get", "container", "web", "-o", "name").out == "container/web\n"
    assert pydock("get", "container/web", "container/db", "-o", "name").out == "container/web\ncontainer/db\n"
    assert pydock("get", "containers", "-l", "app in (web)", "-o", "name").out == "container/web\n"
    assert pydock("get", "containers", "-n", "batch", "-o", "name").out == "container/job\n"
    assert pydock("-n", "batch", "get", "containers", "-o", "name").out == "container/job\n"
    assert (
        pydock("get", "containers", "--field-selector", "status.phase=Running", "-o", "name").out == "container/web\n"
    )


def test_documents(server: Server, pydock: Run) -> None:
    fill(server)
    one = pydock("get", "container", "web", "-o", "json").out
    assert json.loads(one) == server.objects["Container", "default", "web"]
    assert one.startswith('{\n    "apiVersion": "pydock.dev/v1",\n    "kind": "Container",\n')
    assert yaml.safe_load(pydock("get", "container/web", "-oyaml").out) == json.loads(one)
    several = json.loads(pydock("get", "containers", "-o", "json").out)
    assert (several["kind"], [obj["metadata"]["name"] for obj in several["items"]]) == ("List", ["db", "web"])
    assert json.loads(pydock("get", "networks", "-o", "json").out)["items"] == []


def test_yaml_keeps_order_blocks_and_awkward_texts(server: Server, pydock: Run) -> None:
    server.put("container", "web", spec={"image": "a", "args": ["two\nlines\n", "no", "22:22", "0777", "", "é"]})
    out = pydock("get", "container/web", "-o", "yaml").out
    assert (
        "spec:\n  image: a\n  args:\n  - |\n    two\n    lines\n  - 'no'\n  - '22:22'\n  - '0777'\n  - ''\n  - é\n"
        in out
    )


def test_jsonpath(server: Server, pydock: Run) -> None:
    fill(server)
    template = 'jsonpath={range .items[*]}{.metadata.name}{"\\n"}{end}'
    assert pydock("get", "containers", "-o", template).out == "db\nweb\n"
    assert pydock("get", "container/web", "-o", "jsonpath={.spec.image}").out == "nginx:1"
    ran = pydock("get", "container/web", "-o", "jsonpath={.spec")
    assert (ran.status, ran.err) == (1, "pydock: jsonpath '{.spec': a brace without its partner\n")


def test_nothing_there(server: Server, pydock: Run) -> None:
    assert pydock("get", "containers") == (0, "", "No resources found in default namespace.\n")
    assert pydock("get", "containers", "-A") == (0, "", "No resources found.\n")
    assert pydock("get", "images") == (0, "", "No resources found.\n")
    assert pydock("get", "containers", "-o", "name") == (0, "", "")


def test_what_is_missing_does_not_hide_what_is_there(server: Server, pydock: Run) -> None:
    fill(server)
    ran = pydock("get", "container", "web", "ghost", "--no-headers")
    assert ran.out.startswith("web   True")
    assert (ran.status, ran.err) == (1, "pydock: container/default/ghost not found\n")
    assert pydock("get", "container", "ghost", "--ignore-not-found") == (0, "", "")
    assert pydock("get", "container", "ghost", "-o", "json") == (1, "", "pydock: container/default/ghost not found\n")


USAGE = {
    (): "Expected a KIND (containers, images, networks, all) or KIND/NAME.",
    ("pods",): "unknown kind 'pods': expected one of images, networks, containers.",
    ("images", "-o", "xml"): "'xml' is not one of wide, name, json, yaml, jsonpath=TEMPLATE.",
    ("images", "-l", "a in b"): "label selector 'a in b': expected '(' instead of 'b'.",
    ("images", "--field-selector", "spec.x=y"): (
        "field selector 'spec.x=y': unknown field 'spec.x', "
        "expected one of metadata.name, metadata.namespace, status.phase."
    ),
    ("image/a", "-l", "a"): "Objects asked for by name cannot be selected too (-l, --field-selector, -A).",
    ("all", "-w"): "Only one kind, or one object, can be watched at a time.",
    ("images", "--frobnicate"): "'--frobnicate'.",
}


@pytest.mark.parametrize(("arguments", "says"), USAGE.items())
def test_a_wrong_command_line(server: Server, pydock: Run, arguments: tuple[str, ...], says: str) -> None:
    ran = pydock("get", *arguments)
    first, second = ran.err.splitlines()
    assert (ran.status, ran.out, second) == (2, "", "pydock: see 'pydock get --help'")
    assert first.startswith("pydock: ")
    assert first.endswith(says)


def test_a_failing_server(server: Server, pydock: Run) -> None:
    server.answers[f"GET {BASE}/images"] = lambda request: status(503, "the controller is starting")
    assert pydock("get", "images") == (1, "", "pydock: the controller is starting\n")
    server.answers[f"GET {BASE}/images"] = lambda request: status(500, "internal error 1234\x1b[2J: the log tells more")
    assert pydock("get", "images") == (1, "", "pydock: internal error 1234\\x1b[2J: the log tells more\n")


def after_watches(server: Server, count: int, then: list[object]) -> threading.Thread:
    """Once ``count`` watches run, makes the changes of ``then`` and interrupts this process."""

    def act() -> None:
        server.wait_for_watches(count)
        for change in then:
            change()  # type: ignore[operator]
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_ctrl_c_ends_a_watch_quietly(server: Server, pydock: Run) -> None:
    fill(server)
    thread = after_watches(server, 1, [])
    ran = pydock("get", "containers", "-w")
    thread.join()
    assert (ran.status, ran.err) == (130, "")
    assert ran.out.splitlines()[0].startswith("NAME   READY")
    assert len(ran.out.splitlines()) == 3


def test_watching_what_is_not_there(server: Server, pydock: Run) -> None:
    assert pydock("get", "container/ghost", "-w") == (1, "", "pydock: containers 'ghost' not found\n")
