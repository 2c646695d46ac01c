"""kill -9 before and after every side effect: whatever had been acknowledged is carried out once, and nothing is left.

Which operations come by which failpoint is learnt from a run that records them. A daemon is armed with the failpoint
just before the operation, dies in it, and is started again unarmed.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import names
from reconciler.testing import faults, images, wait
from reconciler.testing.daemon import Pydockd, condition
from reconciler.testing.nursery import Nursery

IN_TIME = 20.0
STORED = "/apis/pydock.dev/v1/graph/images"
SYSTEM = "/apis/pydock.dev/v1/system"
LOGINS = "/apis/pydock.dev/v1/logins"
#: of kinds that have nothing in the kernel, of which there is none yet
LATER = {"purge.after", "step.purge.before", "step.purge.after"}
#: a failpoint is tried in those of these that come by it, or else in the first that does
MAIN = ("create", "start", "stop", "delete")
#: in all that do: some minutes more
EVERYWHERE = bool(os.environ.get("PYDOCK_TEST_EVERY_FAILPOINT"))
#: bytes of each file of a container's log
LOG_LIMIT = 16 << 10
#: of cgroup v1 and v2
LIMIT_FILES = ("memory.limit_in_bytes", "memory.max")


@dataclass(frozen=True)
class Operation:
    """Something asked of the daemon. ``do`` may be asked again, ``done`` tells that it is carried out, ``before`` is
    the operation that must have been done first."""

    name: str
    do: Callable[[Stage], object]
    done: Callable[[Stage], bool]
    before: str = ""


@dataclass
class Stage:
    """A daemon that can be armed, with an image that is here already, and what it holds when it holds nothing."""

    host: Pydockd
    subject: faults.Subject
    filed: faults.Subject
    second_port: int
    other_image: str
    arm: Path
    record: Path
    saved: Path
    remains: faults.Remains = field(init=False)
    incarnation: int = 0
    #: a test has begun and not ended well: objects of its may be there
    used: bool = False
    #: the subject takes longer to stop than anybody waits
    patient: bool = False

    def start(self) -> None:
        self.host.start(env={"PYDOCK_FAILPOINT": f"@{self.arm}", "PYDOCK_FAILPOINT_RECORD": str(self.record)})

    def uid(self) -> str:
        found = self.host.get("Container", self.subject.name)
        assert found is not None
        return str(found["metadata"]["uid"])

    def fresh(self) -> bool:
        """The subject runs what was last asked for, with another process than the one that was noted."""
        found = self.host.get("Container", self.subject.name)
        if found is None or not self.subject.runs_once():
            return False
        seen = (found["status"].get("pid"), found["status"].get("observedGeneration"))
        return seen[0] != self.incarnation and bool(seen[1] == found["metadata"]["generation"])


def apply(stage: Stage, **spec: Any) -> None:
    stage.host.apply(stage.subject.manifest(**spec))


def damage(stage: Stage) -> None:
    """Takes away a veth, a limit, a rootfs mount and the firewall of a running container."""
    subject = stage.subject
    run("ip", "link", "del", names.host_interface(stage.host.instance, stage.uid(), 0))
    run("nft", "flush", "ruleset")
    for file in limit_files(stage):
        file.write_text(str(32 << 20))
    for point in mounts(stage):
        run("umount", point)
    assert subject.processes()


def repaired(stage: Stage) -> bool:
    limits = {file.read_text().strip() for file in limit_files(stage)}
    return stage.subject.runs_once() and limits == {str(64 << 20)} and len(mounts(stage)) == 1


def mounts(stage: Stage) -> list[str]:
    lines = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [fields[4] for fields in lines if fields[4].startswith(str(stage.host.root.resolve()))]


def limit_files(stage: Stage) -> list[Path]:
    """The file that holds the memory limit of the subject's process."""
    found = []
    for pid in stage.subject.processes():
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            mount = Path("/sys/fs/cgroup") / controllers / group.lstrip("/")
            if controllers in ("", "memory"):
                found += [file for name in LIMIT_FILES if (file := mount / name).exists()]
    return found


def run(*words: str) -> None:
    subprocess.run(words, check=False, capture_output=True)


def ask(verb: str) -> Callable[[Stage], object]:
    def do(stage: Stage) -> object:
        stage.incarnation = next(iter(stage.subject.processes()), 0)
        return stage.host.api(
            "POST", f"/apis/pydock.dev/v1/namespaces/default/containers/{stage.subject.name}/{verb}", {}
        )

    return do


def create_patient(stage: Stage) -> None:
    """Its process does not heed SIGTERM: a stop of it can be taken back."""
    stage.patient = True
    apply(stage, terminationGracePeriodSeconds=600)


def is_stopping(stage: Stage) -> bool:
    return any(each.get("reason") == "Stopping" for each in stage.host.status("subject").get("conditions", ()))


def resumed(stage: Stage) -> bool:
    return stage.subject.runs_once() and not is_stopping(stage)


def recreate(stage: Stage) -> None:
    stage.incarnation = next(iter(stage.subject.processes()), 0)
    apply(stage, env=[{"name": "A", "value": "2"}])


def stopped(stage: Stage) -> bool:
    return stage.host.status(stage.subject.name).get("phase") == "Stopped" and not stage.subject.processes()


def delete(kind: str, name: Callable[[Stage], str]) -> Callable[[Stage], object]:
    def do(stage: Stage) -> object:
        status, answer = stage.host.request("DELETE", path(kind, name(stage)))
        assert status in (200, 404), answer
        return answer

    return do


def path(kind: str, name: str) -> str:
    return f"/apis/pydock.dev/v1/{'' if kind == 'Image' else 'namespaces/default/'}{kind.lower()}s/{name}"


def other_image(stage: Stage) -> dict[str, Any]:
    return {
        "apiVersion": "pydock.dev/v1", "kind": "Image", "metadata": {"name": "other"},
        "spec": {"reference": stage.other_image},
    }  # fmt: skip


def ask_other(stage: Stage) -> None:
    """The registry is asked what the tag means now."""
    always = other_image(stage)
    always["spec"]["pullPolicy"] = "Always"
    stage.host.apply(always)


def asked_other(stage: Stage) -> bool:
    found = stage.host.get("Image", "other", "")
    current = found is not None and found["status"]["observedGeneration"] == found["metadata"]["generation"]
    return current and ready("Image", "other")(stage)


def pulled(stage: Stage) -> list[str]:
    return [str(each["reference"]) for each in stage.host.api("GET", STORED)["items"]]


def pull_other(stage: Stage) -> None:
    assert stage.host.cli("pull", stage.other_image).returncode == 0


def forget_other(stage: Stage) -> None:
    for reference in (stage.other_image, copy_of_other(stage)):
        status, answer = stage.host.request("POST", f"{STORED}/remove", {"references": [reference]})
        assert status in (200, 404), answer


def copy_of_other(stage: Stage) -> str:
    return f"{stage.other_image}-copy"


def tag_other(stage: Stage) -> None:
    stage.host.api("POST", f"{STORED}/tag", {"source": stage.other_image, "target": copy_of_other(stage)})


def push_other(stage: Stage) -> None:
    """To the registry that it came from, without the tag."""
    stage.host.api("POST", f"{STORED}/tag", {"source": stage.other_image, "target": copy_of_other(stage)})
    assert stage.host.cli("push", copy_of_other(stage)).returncode == 0


def pushed(stage: Stage) -> bool:
    return stage.host.cli("pull", copy_of_other(stage)).returncode == 0


def collect(stage: Stage) -> None:
    """All unused images are due at once here: that of the subject is brought back."""
    stage.host.api("POST", f"{SYSTEM}/collection")
    assert stage.host.cli("pull", stage.subject.image).returncode == 0


def remove_leftovers(stage: Stage) -> None:
    stage.host.api("POST", f"{SYSTEM}/leftovers/remove", {})


def manifest_file(stage: Stage) -> Path:
    return stage.host.manifests / "filed.json"


def put_file(stage: Stage) -> None:
    aside = stage.host.work / "filed.json"
    aside.write_text(json.dumps(stage.filed.manifest()))
    aside.rename(manifest_file(stage))


def subject_gone(stage: Stage) -> bool:
    return stage.subject.is_gone() and stage.host.get("Network", "default", "") is None and no_networks(stage)


def no_networks(stage: Stage) -> bool:
    return not stage.host.api("GET", "/apis/pydock.dev/v1/networks")["items"]


def repair(stage: Stage) -> None:
    """A layer of an image that nothing runs on is damaged, and mended."""
    for page in (stage.host.root / "graph" / "layers").glob("*/www/index.html"):
        if page.read_text() == f"other {os.getpid()}\n":
            page.write_text("damaged")
    done = stage.host.cli("system", "check", "--repair")
    assert done.returncode == 0, done.stdout + done.stderr


def load_other(stage: Stage) -> None:
    done = stage.host.cli("image", "load", "-i", str(stage.saved))
    assert done.returncode == 0, done.stderr


def commit(stage: Stage) -> None:
    done = stage.host.cli("commit", "subject", copy_of_other(stage))
    assert done.returncode == 0, done.stderr


def login_on_host(stage: Stage) -> None:
    """The registry takes any login, having none."""
    login = {"username": "tester", "password": "secret"}
    stage.host.api("POST", LOGINS, {"scope": registry_of(stage), "credentials": login})


def logout_on_host(stage: Stage) -> None:
    stage.host.api("POST", f"{LOGINS}/remove", {"scope": registry_of(stage)})


def registry_of(stage: Stage) -> str:
    return stage.other_image.partition("/")[0]


def logins(stage: Stage) -> int:
    return len(stage.host.api("GET", LOGINS)["items"])


def ready(kind: str, name: str) -> Callable[[Stage], bool]:
    def done(stage: Stage) -> bool:
        found = stage.host.get(kind, name, "" if kind == "Image" else "default")
        return found is not None and condition(found["status"], "Ready") == "True"

    return done


def network(stage: Stage, **spec: Any) -> None:
    meta = {"name": "lan"}
    stage.host.apply({"apiVersion": "pydock.dev/v1", "kind": "Network", "metadata": meta, "spec": spec})


def changed_network(stage: Stage) -> bool:
    found = stage.host.get("Network", "lan")
    assert found is not None
    listed = json.loads(subprocess.run(["ip", "-j", "link"], check=True, capture_output=True, text=True).stdout)
    bridge = names.bridge(stage.host.instance, found["metadata"]["uid"])
    return ready("Network", "lan")(stage) and any(x["ifname"] == bridge and x["mtu"] == 1400 for x in listed if x)


def flood(stage: Stage) -> None:
    """The container writes far more than its log may hold: here by its own standard output."""
    line = b"x" * 99 + b"\n"
    with open(f"/proc/{stage.host.status('subject')['pid']}/fd/1", "wb", buffering=0) as output:
        for _ in range(400):
            output.write(line * 10)


def log_bounded(stage: Stage) -> bool:
    directory = stage.host.root / "logs" / stage.uid()
    files: dict[int, int] = {}
    for each in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):  # it has another name by now, or is removed
            found = each.stat()
            files[found.st_ino] = found.st_size
    size = sum(files.values())
    return stage.subject.runs_once() and size < 5 * LOG_LIMIT


def updated(stage: Stage) -> bool:
    limits = {file.read_text().strip() for file in limit_files(stage)}
    return stage.subject.runs_once() and limits == {str(80 << 20)} and faults.answers(stage.second_port)


def update(stage: Stage) -> None:
    ports = [{"containerPort": 7, "hostPort": port} for port in (stage.subject.port, stage.second_port)]
    apply(stage, ports=ports, resources={"limits": {"memory": "80Mi"}})


OPERATIONS = (
    Operation("create", apply, lambda stage: stage.subject.runs_once()),
    Operation("damage", damage, repaired, "create"),
    Operation("update", update, updated, "create"),
    Operation("flood", flood, log_bounded, "create"),
    Operation("restart", ask("restart"), Stage.fresh, "create"),
    Operation("stop", ask("stop"), stopped, "create"),
    Operation("start", ask("start"), Stage.fresh, "stop"),
    Operation("create-patient", create_patient, resumed),
    Operation("stop-patient", ask("stop"), is_stopping, "create-patient"),
    Operation("resume", ask("start"), resumed, "stop-patient"),
    Operation("recreate", recreate, Stage.fresh, "create"),
    Operation("delete", delete("Container", lambda stage: stage.subject.name), subject_gone, "create"),
    Operation("network", network, ready("Network", "lan")),
    Operation("network-change", lambda stage: network(stage, mtu=1400), changed_network, "network"),
    Operation("network-delete", delete("Network", lambda stage: "lan"), no_networks, "network"),
    Operation("image", lambda stage: stage.host.apply(other_image(stage)), ready("Image", "other")),
    Operation("image-check", ask_other, asked_other, "image"),
    Operation("image-delete", delete("Image", lambda stage: "other"),
              lambda stage: stage.host.get("Image", "other", "") is None, "image"),
    Operation("pull", pull_other, lambda stage: stage.other_image in pulled(stage)),
    Operation("forget", forget_other, lambda stage: stage.other_image not in pulled(stage), "pull"),
    Operation("tag", tag_other, lambda stage: copy_of_other(stage) in pulled(stage), "pull"),
    Operation("push", push_other, pushed, "pull"),
    Operation("collect", collect, lambda stage: stage.other_image not in pulled(stage), "pull"),
    Operation("leftovers", remove_leftovers, lambda stage: True),
    Operation("load", load_other, lambda stage: stage.other_image in pulled(stage)),
    Operation("commit", commit, lambda stage: copy_of_other(stage) in pulled(stage), "create"),
    Operation("repair", repair, lambda stage: stage.host.cli("system", "check").returncode == 0, "pull"),
    Operation("login", login_on_host, lambda stage: logins(stage) == 1),
    Operation("logout", logout_on_host, lambda stage: logins(stage) == 0, "login"),
    Operation("file", put_file, lambda stage: stage.filed.runs_once()),
    Operation("file-delete", lambda stage: manifest_file(stage).unlink(missing_ok=True),
              lambda stage: stage.filed.is_gone() and no_networks(stage), "file"),
)  # fmt: skip
BY_NAME = {operation.name: operation for operation in OPERATIONS}


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, registry: images.Server, image: str, born_by: Nursery | None
) -> Iterator[Stage]:
    work = tmp_path_factory.mktemp("failpoints")
    # so that the daemon has a switch to flip: a test before may have left it on in this worker's namespace
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
    flags = (
        "--resync",
        "3600",
        "--image-gc-max-age",
        "1ms",
        "--image-gc-min-age",
        "0",
        "--log-max-size",
        str(LOG_LIMIT),
    )
    host = Pydockd(work / "host", flags=flags, born_by=born_by)
    other = images.push(registry.address, "other", "1", images.busybox(page=f"other {os.getpid()}\n"))
    subject, filed = (faults.Subject(host, image, name, images.free_port()) for name in ("subject", "filed"))
    made = Stage(host, subject, filed, images.free_port(), other, work / "armed", work / "record", work / "saved.tar")
    try:
        made.start()
        assert host.cli("pull", image).returncode == 0
        assert host.cli("pull", other).returncode == 0
        assert host.cli("image", "save", "-o", str(made.saved), other).returncode == 0
        assert host.cli("image", "rm", other).returncode == 0
        # the first life of all makes what then stays, such as the directory of logs
        for name in ("create", "delete"):
            perform(made, BY_NAME[name])
        made.remains = faults.Remains(host)
        yield made
    finally:
        made.arm.unlink(missing_ok=True)
        host.close()


def perform(stage: Stage, operation: Operation) -> None:
    operation.do(stage)
    finish(stage, operation)
    wait.until(lambda: settled(stage), IN_TIME, "every step that began to have ended")


def settled(stage: Stage) -> bool:
    """What an operation does may show before its last step has ended."""
    points = stage.record.read_text().split()
    steps = [point.rpartition(".")[2] for point in points if point.startswith("step.")]
    return steps.count("before") == steps.count("after")


def finish(stage: Stage, operation: Operation) -> None:
    try:
        wait.until(lambda: operation.done(stage) or nudged(stage), IN_TIME, f"{operation.name} to be done")
    except AssertionError as error:
        status = json.dumps(stage.host.status("subject"), indent=1)
        running = f"processes {stage.subject.processes()}, answers {faults.answers(stage.subject.port)}"
        raise AssertionError(f"{error}\n{status}\n{running}\n{faults.story(stage.host)}") from None


def prepare(stage: Stage, operation: Operation) -> None:
    if operation.before:
        before = BY_NAME[operation.before]
        prepare(stage, before)
        perform(stage, before)


def clean(stage: Stage) -> None:
    """Everything is deleted, and nothing of it is left."""
    manifest_file(stage).unlink(missing_ok=True)
    for kind, name in (("Container", "subject"), ("Image", "other"), ("Network", "lan")):
        assert stage.host.request("DELETE", path(kind, name))[0] in (200, 404)
    for pid in stage.subject.processes() if stage.patient else ():
        faults.kill(pid)
    stage.patient = False
    wait.until(lambda: faults.emptied(stage.host), IN_TIME, "all objects to be gone")
    forget_other(stage)
    logout_on_host(stage)
    stage.remains.wait_none()


@pytest.fixture(scope="module")
def reached(stage: Stage) -> dict[str, list[str]]:
    """Failpoint → the operations that come by it."""
    found: dict[str, list[str]] = {}
    for operation in OPERATIONS:
        prepare(stage, operation)
        stage.record.write_text("")
        perform(stage, operation)
        for name in sorted(set(stage.record.read_text().split())):
            found.setdefault(name, []).append(operation.name)
        clean(stage)
    return found


def test_every_failpoint_is_reached(reached: dict[str, list[str]]) -> None:
    assert sorted({*reached, *LATER}) == faults.failpoints()
    assert not LATER & reached.keys()


@pytest.mark.parametrize("point", sorted({*faults.failpoints()} - LATER))
def test_killed_at(stage: Stage, reached: dict[str, list[str]], point: str) -> None:
    recover(stage)
    for name in chosen(reached[point]):
        killed_in(stage, BY_NAME[name], point)


def chosen(operations: list[str]) -> list[str]:
    """The operations to try a failpoint in."""
    if EVERYWHERE:
        return operations
    return [name for name in operations if name in MAIN] or operations[:1]


def nudged(stage: Stage) -> bool:
    """Never: but a file's removal is one of all, which waits until somebody agrees."""
    faults.acknowledge(stage.host)
    return False


def recover(stage: Stage) -> None:
    """After a test that failed: the next one finds what it would have found."""
    stage.arm.unlink(missing_ok=True)
    if not stage.host.alive():
        stage.start()
    if stage.used:
        clean(stage)
        stage.used = False


def killed_in(stage: Stage, operation: Operation, point: str) -> None:
    stage.used = True
    prepare(stage, operation)
    stage.arm.write_text(point)
    acknowledged = True
    try:
        operation.do(stage)
    except (OSError, http.client.HTTPException, AssertionError):
        acknowledged = False
    wait.until(
        lambda: not stage.host.alive() or nudged(stage),
        IN_TIME,
        f"{operation.name} to come by {point}",
    )
    stage.arm.unlink()
    stage.record.write_text("")
    stage.start()
    if not acknowledged:
        operation.do(stage)
    finish(stage, operation)
    checked = stage.host.cli("system", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    clean(stage)
    stage.used = False
