"""Each field of a container that makes it anew: its effect is seen on a running one, and the process is another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.manifest import contract
from reconciler.testing import images, wait
from reconciler.testing.daemon import Pydockd, condition, container
from reconciler.testing.effects import effect_of
from reconciler.testing.inside import Inside

FOREVER = "trap 'exit 0' TERM QUIT; while :; do sleep 3600 & wait $!; done"
NET_ADMIN, CHOWN = 1 << 12, 1 << 0
SUBNETS = ("10.203.1.0/24", "10.203.2.0/24")


class Subject:
    """One container whose spec is changed field by field."""

    def __init__(self, host: Pydockd, name: str, image: str) -> None:
        self.host, self.name, self._image = host, name, image
        self.pid = 0

    def be(self, **spec: Any) -> Inside:
        """Applies ``spec`` in place of the former one; returns the container once it is ready with that."""
        document = container(self.name, spec.pop("image", self._image), **spec)
        if "command" in spec and spec["command"] is None:
            del document["spec"]["command"]
        return settled(self, document)

    def made_anew(self, **spec: Any) -> Inside:
        before = self.pid
        inside = self.be(**spec)
        assert inside.pid != before
        assert not os.path.exists(f"/proc/{before}")
        for name in spec:
            assert contract.spec_of("Container")["properties"][name]["x-pydock-change"] == "recreate"
        return inside


def settled(subject: Subject, document: dict[str, Any]) -> Inside:
    generation = subject.host.apply(document)["metadata"]["generation"]

    def ready() -> dict[str, Any] | None:
        status = subject.host.status(subject.name)
        current = status.get("observedGeneration") == generation
        return status if current and condition(status, "Ready") == "True" else None

    try:
        found = wait.until(ready, 20.0, f"{subject.name} to be as wanted")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{subject.host.status(subject.name)}\n{subject.host.tail()}") from None
    assert found is not None
    subject.pid = found["pid"]
    return Inside(subject.pid)


@pytest.fixture(scope="module")
def _subject(host: Pydockd, image: str) -> Subject:
    return Subject(host, "subject", image)


@pytest.fixture
def subject(_subject: Subject) -> Subject:
    """As it is without any of the fields."""
    _subject.be()
    return _subject


@effect_of("Container", "spec.command", "spec.args")
def test_command_and_args(subject: Subject) -> None:
    assert subject.made_anew(command=["sh", "-c", FOREVER, "zero"]).argv[1:] == ["-c", FOREVER, "zero"]
    found = subject.made_anew(command=["busybox", "sh", "-c", FOREVER], args=["a b", "$HOME", "*"])
    assert found.argv[0].endswith("busybox")
    assert found.argv[1:] == ["sh", "-c", FOREVER, "a b", "$HOME", "*"]


@pytest.fixture(scope="module")
def entry(registry: images.Server) -> str:
    """An image with settings of its own for all that a manifest can leave out."""
    made = images.busybox(
        command=("of-image",), Entrypoint=["sh", "-c", FOREVER, "entry"], Env=["PATH=/bin", "A=image", "B=image"],
        User="www", WorkingDir="/www",
    )  # fmt: skip
    return images.push(registry.address, "entry", "1", made)


@effect_of("Container", "spec.image", "spec.args", "spec.user", "spec.workingDir")
@effect_of("Container", "spec.env[].name", "spec.env[].value")
def test_what_is_left_out_is_the_images(subject: Subject, entry: str) -> None:
    inside = subject.made_anew(image=entry, command=None)
    assert inside.argv[1:] == ["-c", FOREVER, "entry", "of-image"]
    assert (inside.environment["A"], inside.status["Uid"].split()[0]) == ("image", "33")
    assert inside.is_in("/www")
    inside = subject.made_anew(
        image=entry, command=None, args=["mine"], env=[{"name": "B", "value": "mine"}, {"name": "C"}], user="0",
        workingDir="/tmp",
    )  # fmt: skip
    assert inside.argv[1:] == ["-c", FOREVER, "entry", "mine"]
    assert {name: inside.environment.get(name) for name in "ABC"} == {"A": "image", "B": "mine", "C": ""}
    assert inside.status["Uid"].split()[0] == "0"
    assert inside.is_in("/tmp")


@effect_of("Container", "spec.image")
def test_image(subject: Subject, registry: images.Server) -> None:
    other = images.push(registry.address, "other", "1", images.busybox("another page\n"))
    assert subject.made_anew(image=other).path("/www/index.html").read_text() == "another page\n"


@effect_of("Container", "spec.env[].name", "spec.env[].value")
def test_env(subject: Subject) -> None:
    value = "grüß = 'x'\nsecond line"
    inside = subject.made_anew(env=[{"name": "GREETING", "value": value}, {"name": "EMPTY"}])
    assert inside.environment["GREETING"] == value
    assert inside.environment["EMPTY"] == ""
    assert subject.made_anew(env=[{"name": "GREETING", "value": "other"}]).environment["GREETING"] == "other"


@effect_of("Container", "spec.workingDir")
def test_working_dir_is_made_if_it_is_not_there(subject: Subject) -> None:
    assert subject.made_anew(workingDir="/made/here").is_in("/made/here")


@effect_of("Container", "spec.user")
@pytest.mark.parametrize(
    ("user", "uid", "gid"), [("www", "33", "33"), ("www:root", "33", "0"), ("1234:5678", "1234", "5678")]
)
def test_user(subject: Subject, user: str, uid: str, gid: str) -> None:
    status = subject.made_anew(user=user).status
    assert (status["Uid"].split(), status["Gid"].split()) == ([uid] * 4, [gid] * 4)


def test_a_user_that_the_image_does_not_know_is_said(host: Pydockd, image: str) -> None:
    host.apply(container("stranger", image, user="stranger"))
    wait.until(lambda: "stranger" in ready_message(host, "stranger"), 10.0, "a message about the user")
    host.delete("Container", "stranger")


def ready_message(host: Pydockd, name: str) -> str:
    found = (item for item in host.status(name).get("conditions", ()) if item["type"] == "Ready")
    return str(next(found, {}).get("message", ""))


@effect_of("Container", "spec.hostname")
def test_hostname(subject: Subject) -> None:
    assert Inside(subject.pid).hostname == "subject"
    inside = subject.made_anew(hostname="another-name")
    assert inside.hostname == inside.environment["HOSTNAME"] == "another-name"
    assert inside.path("/etc/hostname").read_text() == "another-name\n"
    assert "another-name" in inside.path("/etc/hosts").read_text()


@pytest.fixture
def networks(host: Pydockd) -> Iterator[list[str]]:
    names = ["one", "two"]
    for name, subnet in zip(names, SUBNETS, strict=True):
        host.apply(network(name, subnet=subnet))
    yield names
    for name in names:
        host.delete("Network", name)


def network(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "pydock.dev/v1", "kind": "Network", "metadata": {"name": name}, "spec": spec}


@effect_of("Container", "spec.networks[].name")
def test_networks_in_the_order_of_interfaces(subject: Subject, networks: list[str]) -> None:
    inside = subject.made_anew(networks=[{"name": "two"}, {"name": "one"}])
    shown = {item["network"]: item["address"] for item in subject.host.status(subject.name)["addresses"]}
    assert list(shown) == ["two", "one"]
    assert shown["two"].startswith("10.203.2.")
    assert f"inet {shown['two']}/24" in inside.run("--net", "ip", "addr", "show", "eth0")
    assert f"inet {shown['one']}/24" in inside.run("--net", "ip", "addr", "show", "eth1")
    assert "default via 10.203.2.1 dev eth0" in inside.run("--net", "ip", "route")
    inside = subject.made_anew(networks=[{"name": "one"}])
    assert "eth1" not in inside.run("--net", "ip", "link")


@effect_of("Container", "spec.mounts[].mountPath", "spec.mounts[].hostPath.path", "spec.mounts[].readOnly")
def test_host_paths(subject: Subject, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "file").write_text("of the host\n")
    inside = subject.made_anew(
        mounts=[
            {"mountPath": "/data", "hostPath": {"path": str(tmp_path / "data")}},
            {"mountPath": "/etc/conf", "hostPath": {"path": str(tmp_path / "file")}, "readOnly": True},
        ]
    )
    assert inside.shell("echo written > /data/x") == ""
    assert (tmp_path / "data" / "x").read_text() == "written\n"
    assert inside.shell("cat /etc/conf") == "of the host"
    assert "Read-only file system" in inside.shell("echo x > /etc/conf")
    assert subject.made_anew(mounts=[]).shell("ls -d /data").startswith("ls: /data: No such file")


@effect_of("Container", "spec.mounts[].tmpfs.sizeLimit", "spec.mounts[].readOnly")
def test_tmpfs(subject: Subject) -> None:
    inside = subject.made_anew(
        mounts=[
            {"mountPath": "/small", "tmpfs": {"sizeLimit": "64Ki"}},
            {"mountPath": "/free", "tmpfs": {}},
            {"mountPath": "/fixed", "tmpfs": {}, "readOnly": True},
        ]
    )
    assert "size=64k" in inside.mounts["/small"]
    assert "size=" not in inside.mounts["/free"]
    assert "No space left" in inside.shell("yes > /small/x")
    assert "Read-only file system" in inside.shell("echo x > /fixed/x")


@effect_of("Container", "spec.securityContext.readOnlyRootFilesystem")
def test_read_only_root(subject: Subject) -> None:
    assert Inside(subject.pid).shell("touch /x") == ""
    inside = subject.made_anew(securityContext={"readOnlyRootFilesystem": True})
    assert "Read-only file system" in inside.shell("touch /x")


@effect_of("Container", "spec.securityContext.capabilities.add", "spec.securityContext.capabilities.drop")
def test_capabilities(subject: Subject) -> None:
    plain = Inside(subject.pid).capabilities()
    assert plain & (NET_ADMIN | CHOWN) == CHOWN
    inside = subject.made_anew(securityContext={"capabilities": {"add": ["NET_ADMIN"], "drop": ["CHOWN"]}})
    assert inside.capabilities() == inside.capabilities("CapEff") == plain ^ (NET_ADMIN | CHOWN)
    none = subject.made_anew(securityContext={"capabilities": {"drop": ["ALL"]}})
    assert none.capabilities() == none.capabilities("CapPrm") == 0


def test_another_spelling_touches_nothing(subject: Subject, tmp_path: Path) -> None:
    """The same values in other words: the process and its writable layer stay, and the new text is in force."""
    (tmp_path / "f").write_text("here")

    def spec(slash: str, size: Any, memory: str, cpu: Any, signal: Any, capabilities: list[str]) -> dict[str, Any]:
        return {
            "workingDir": f"/work{slash}",
            "mounts": [
                {"mountPath": f"/host{slash}", "hostPath": {"path": f"{tmp_path}{slash}"}, "readOnly": True},
                {"mountPath": f"/memory{slash}", "tmpfs": {"sizeLimit": size}},
            ],
            "resources": {"limits": {"memory": memory, "cpu": cpu}},
            "stopSignal": signal,
            "securityContext": {"capabilities": {"drop": capabilities}},
        }

    inside = subject.be(**spec("", "1Mi", "64Mi", "500m", "SIGTERM", ["KILL", "CHOWN"]))
    pid = inside.pid
    with open(f"/proc/{pid}/root/mark", "w") as mark:
        mark.write("mine")
    inside = subject.be(**spec("/", 1048576, "65536Ki", 0.5, 15, ["CHOWN", "KILL", "KILL"]))
    assert inside.pid == pid
    assert Path(f"/proc/{pid}/root/mark").read_text() == "mine"
    assert Path(f"/proc/{pid}/root/host/f").read_text() == "here"
    assert subject.host.status(subject.name)["restartCount"] == 0
