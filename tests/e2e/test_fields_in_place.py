"""Each field that takes effect on a running container: its effect is seen, and the process is the same."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.manifest import contract
from reconciler.testing import images, network_tools, wait
from reconciler.testing.daemon import Pydockd, condition, container, path
from reconciler.testing.effects import effect_of
from reconciler.testing.inside import Inside

FOREVER = "while :; do sleep 3600 & wait $!; done"
SECOND_ADDRESS = "10.255.7.1"


class Steady:
    """One container that is never made anew."""

    def __init__(self, host: Pydockd, image: str) -> None:
        self.host, self._image = host, image
        self.host.apply(container("steady", image))
        self.pid = host.wait_ready_container("steady")["pid"]
        self.inside = Inside(self.pid)

    def be(self, **spec: Any) -> Inside:
        """Applies ``spec`` and waits until it is in force in the same process."""
        for name in spec:
            assert contract.spec_of("Container")["properties"][name]["x-pydock-change"] == "in-place"
        applied = self.host.apply(container("steady", self._image, **spec))
        agreed(self.host, "steady", applied["metadata"]["generation"])
        assert self.host.status("steady")["pid"] == self.pid
        assert self.host.status("steady")["restartCount"] == 0
        return self.inside


def agreed(host: Pydockd, name: str, generation: int) -> dict[str, Any]:
    """The status once that generation is in force."""

    def found() -> dict[str, Any] | None:
        status = host.status(name)
        there = status.get("observedGeneration") == generation and condition(status, "Ready") == "True"
        return status if there else None

    status = wait.until(found, 10.0, f"generation {generation} of {name}")
    assert status is not None
    return status


@pytest.fixture(scope="module")
def steady(host: Pydockd, image: str) -> Steady:
    return Steady(host, image)


@pytest.fixture
def free() -> int:
    return images.free_port()


@effect_of("Container", "spec.ports[].containerPort", "spec.ports[].hostPort")
def test_ports(steady: Steady, free: int) -> None:
    inside = steady.inside.network
    with network_tools.serving(inside, 81, "one"), network_tools.serving(inside, 82, "two"):
        assert network_tools.unreachable(None, "127.0.0.1", free)
        steady.be(ports=[{"containerPort": 81, "hostPort": free}])
        assert network_tools.ask(None, "127.0.0.1", free).startswith("one")
        steady.be(ports=[{"containerPort": 82, "hostPort": free}])
        assert network_tools.ask(None, "127.0.0.1", free).startswith("two")
        other = images.free_port()
        steady.be(ports=[{"containerPort": 82, "hostPort": other}])
        assert network_tools.ask(None, "127.0.0.1", other).startswith("two")
        assert network_tools.unreachable(None, "127.0.0.1", free)
        steady.be(ports=[])
        assert network_tools.unreachable(None, "127.0.0.1", other)


@effect_of("Container", "spec.ports[].protocol")
def test_protocol(steady: Steady, free: int) -> None:
    with (
        network_tools.serving(steady.inside.network, 83, "udp", udp=True),
        network_tools.serving(steady.inside.network, 83, "tcp"),
    ):
        steady.be(ports=[{"containerPort": 83, "hostPort": free, "protocol": "UDP"}])
        assert network_tools.ask_udp(None, "127.0.0.1", free).startswith("udp")
        assert network_tools.unreachable(None, "127.0.0.1", free)
        steady.be(ports=[{"containerPort": 83, "hostPort": free, "protocol": "TCP"}])
        assert network_tools.ask(None, "127.0.0.1", free).startswith("tcp")


@pytest.fixture
def second_address() -> Iterator[str]:
    network_tools.run("ip", "addr", "add", f"{SECOND_ADDRESS}/32", "dev", "lo")
    yield SECOND_ADDRESS
    network_tools.run("ip", "addr", "del", f"{SECOND_ADDRESS}/32", "dev", "lo")


@effect_of("Container", "spec.ports[].hostIP")
def test_host_ip(steady: Steady, free: int, second_address: str) -> None:
    with network_tools.serving(steady.inside.network, 84, "here"):
        steady.be(ports=[{"containerPort": 84, "hostPort": free, "hostIP": second_address}])
        assert network_tools.ask(None, second_address, free).startswith("here")
        assert network_tools.unreachable(None, "127.0.0.1", free)
        steady.be(ports=[{"containerPort": 84, "hostPort": free}])
        assert network_tools.ask(None, second_address, free).startswith("here")
        assert network_tools.ask(None, "127.0.0.1", free).startswith("here")


@effect_of("Container", "spec.resources.limits.cpu", "spec.resources.limits.memory", "spec.resources.limits.pids")
def test_limits(steady: Steady) -> None:
    unlimited = limits(steady.inside)
    assert unlimited["pids"] == "4096"
    steady.be(resources={"limits": {"cpu": "250m", "memory": "32Mi", "pids": 50}})
    assert limits(steady.inside) == {"cpu": "25000", "memory": str(32 << 20), "pids": "50"}
    steady.be(resources={"limits": {"cpu": 1.5, "memory": "64Mi", "pids": 60}})
    assert limits(steady.inside) == {"cpu": "150000", "memory": str(64 << 20), "pids": "60"}
    steady.be()
    assert limits(steady.inside) == unlimited


def limits(inside: Inside) -> dict[str, str]:
    return {name: inside.limit(name).read_text().split()[0] for name in ("cpu", "memory", "pids")}


@effect_of("Container", "spec.resources.limits.memory", "spec.resources.limits.pids", "spec.resources.limits.cpu")
def test_limits_of_a_new_container(host: Pydockd, image: str) -> None:
    wanted = {"limits": {"cpu": "100m", "memory": "16Mi", "pids": 20}}
    host.apply(container("bounded", image, resources=wanted))
    found = limits(Inside(host.wait_ready_container("bounded")["pid"]))
    assert found == {"cpu": "10000", "memory": str(16 << 20), "pids": "20"}


@effect_of("Container", "spec.dependsOn[].name", "spec.dependsOn[].condition")
def test_depends_on(host: Pydockd, image: str, steady: Steady) -> None:
    host.apply(container("late", image, dependsOn=[{"name": "first", "condition": "Started"}]))
    wait.until(lambda: reason(host, "late") == "DependencyMissing", 5.0, "late to wait for what is not there")
    missing = container("first", image)
    missing["spec"]["image"] = image.replace("/busybox", "/nowhere")
    host.apply(missing)
    wait.until(lambda: reason(host, "late") == "DependencyNotStarted", 5.0, "late to wait for first's start")
    host.apply(container("first", image))
    late, first = host.wait_ready_container("late"), host.wait_ready_container("first")
    assert late["startedAt"] >= first["startedAt"]
    steady.be(dependsOn=[{"name": "late"}])
    other = container("late", image, dependsOn=[{"name": "first", "condition": "Healthy"}])
    status, answer = host.request("PUT", path("Container", "late"), other)
    assert (status, answer["reason"]) == (422, "Invalid")


def reason(host: Pydockd, name: str) -> str:
    found = (item for item in host.status(name).get("conditions", ()) if item["type"] == "Ready")
    return str(next(found, {}).get("reason", ""))


def act(host: Pydockd, name: str, verb: str) -> None:
    host.api("POST", f"{path('Container', name)}/{verb}", {})


def stopped(host: Pydockd, name: str) -> tuple[dict[str, Any], float]:
    """Its status after a stop by hand, and how long that took."""
    began = time.monotonic()
    act(host, name, "stop")
    status = wait.until(lambda: (found := host.status(name))["phase"] == "Stopped" and found, 10.0, f"{name} to stop")
    assert isinstance(status, dict)
    return status, time.monotonic() - began


@effect_of("Container", "spec.stopSignal")
def test_stop_signal(host: Pydockd, image: str) -> None:
    script = f"trap 'exit 3' USR1; trap 'exit 4' TERM; trap 'exit 5' 63; {FOREVER}"
    for signal, code in (("SIGUSR1", 3), (None, 4), ("SIGRTMAX-1", 5)):
        document = container("signalled", image, command=["sh", "-c", script], terminationGracePeriodSeconds=9)
        host.apply(document)
        act(host, "signalled", "start")
        pid = host.wait_ready_container("signalled")["pid"]
        wait.until(lambda: caught(pid), 5.0, "its traps")  # noqa: B023
        if signal:
            document["spec"]["stopSignal"] = signal
            agreed(host, "signalled", host.apply(document)["metadata"]["generation"])
        assert host.status("signalled")["pid"] == pid
        assert stopped(host, "signalled")[0]["exitCode"] == code


def caught(pid: int) -> bool:
    """Whether the last of the script's traps, that of signal 63, is set."""
    return bool(int(Inside(pid).status["SigCgt"], 16) >> 62 & 1)


def test_the_images_stop_signal(host: Pydockd, registry: images.Server) -> None:
    made = images.busybox(command=("sh", "-c", f"trap 'exit 3' USR1; {FOREVER}"), StopSignal="SIGUSR1")
    document = container("own-signal", images.push(registry.address, "signal", "1", made))
    del document["spec"]["command"]
    host.apply(document)
    pid = host.wait_ready_container("own-signal")["pid"]
    wait.until(lambda: int(Inside(pid).status["SigCgt"], 16) >> 9 & 1, 5.0, "its trap")
    assert stopped(host, "own-signal")[0]["exitCode"] == 3


@effect_of("Container", "spec.terminationGracePeriodSeconds")
def test_grace(host: Pydockd, image: str) -> None:
    document = container("stubborn", image, command=["sh", "-c", f"trap '' TERM; {FOREVER}"])
    document["spec"]["terminationGracePeriodSeconds"] = 600
    host.apply(document)
    pid = host.wait_ready_container("stubborn")["pid"]
    for grace in (1, 0):
        document["spec"]["terminationGracePeriodSeconds"] = grace
        agreed(host, "stubborn", host.apply(document)["metadata"]["generation"])
        assert host.status("stubborn")["pid"] == pid
        wait.until(lambda: int(Inside(pid).status["SigIgn"], 16) >> 14 & 1, 5.0, "its trap")  # noqa: B023
        status, took = stopped(host, "stubborn")
        assert (status["exitReason"], status["signal"]) == ("signal", 9)
        assert grace <= took < grace + 1
        act(host, "stubborn", "start")
        pid = host.wait_ready_container("stubborn")["pid"]


ENDS = {
    ("Always", 0): "again",
    ("Always", 1): "again",
    ("OnFailure", 0): "Succeeded",
    ("OnFailure", 1): "again",
    ("Never", 0): "Succeeded",
    ("Never", 1): "Failed",
}


def ender(image: str, policy: str, code: int) -> dict[str, Any]:
    return container(f"{policy.lower()}-{code}", image, command=["sh", "-c", f"exit {code}"], restartPolicy=policy)


@pytest.fixture
def enders(host: Pydockd, image: str) -> Iterator[None]:
    for policy, code in ENDS:
        host.apply(ender(image, policy, code))
    yield
    for policy, code in ENDS:
        with contextlib.suppress(AssertionError):
            host.delete("Container", f"{policy.lower()}-{code}")


@effect_of("Container", "spec.restartPolicy")
@pytest.mark.usefixtures("enders")
def test_restart_policy(host: Pydockd, image: str) -> None:
    for (policy, code), end in ENDS.items():
        name = f"{policy.lower()}-{code}"
        if end == "again":
            status = wait.until(lambda: backing_off(host, name), 10.0, f"{name} to back off")  # noqa: B023
            assert status["restartCount"] >= 1
            assert status["exitCode"] == code
        else:
            wait.until(lambda: host.status(name).get("phase") == end, 10.0, f"{name}: {end}")  # noqa: B023
            assert host.status(name)["restartCount"] == 0
    host.apply(ender(image, "Always", 1) | {"metadata": {"name": "never-1"}})
    wait.until(lambda: host.status("never-1")["restartCount"] >= 1, 10.0, "a start by the new policy")
    changed = ender(image, "Never", 1) | {"metadata": {"name": "always-1"}}
    host.apply(changed)
    wait.until(lambda: host.status("always-1")["phase"] == "Failed", 10.0, "no start by the new policy")


def backing_off(host: Pydockd, name: str) -> dict[str, Any]:
    """Its status if it says that it waits, and for how long."""
    status = host.status(name)
    found = next((item for item in status.get("conditions", ()) if item["type"] == "Ready"), {})
    waits = found.get("reason") == "CrashLoopBackOff" and "s later, after" in found["message"]
    return status if waits and status["phase"] == "BackOff" else {}
