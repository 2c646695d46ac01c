"""What keeps containers, instances and the wire apart, seen on a whole running daemon."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.model import names
from reconciler.testing import images, leaks_host, network_tools, wait
from reconciler.testing.daemon import Pydockd, container
from reconciler.testing.inside import Inside

#: Docker's fourteen: CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT
#: MKNOD AUDIT_WRITE SETFCAP
DEFAULT_CAPABILITIES = 0xA80425FB


@pytest.fixture(scope="module")
def inside(host: Pydockd, image: str) -> Inside:
    host.apply(container("plain", image, workingDir="/www"))
    return Inside(host.wait_ready_container("plain")["pid"])


def test_seccomp_capabilities_and_no_new_privileges(inside: Inside) -> None:
    status = inside.status
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
    assert inside.capabilities("CapBnd") == inside.capabilities("CapEff") == DEFAULT_CAPABILITIES
    assert inside.capabilities("CapInh") == inside.capabilities("CapAmb") == 0


def test_it_has_namespaces_of_its_own(inside: Inside) -> None:
    for name in ("mnt", "net", "pid", "uts", "ipc"):
        assert os.readlink(f"/proc/{inside.pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"), name


def test_masked_and_read_only_paths(inside: Inside) -> None:
    mounts = inside.mounts
    for masked in ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"):
        assert masked in mounts or not inside.path(masked).exists(), masked
    paths = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/sys")
    present = [path for path in paths if os.path.exists(path)]
    assert len(present) >= 3
    for path in present:
        assert mounts[path].split(",")[0] == "ro", path
    for masked in ("/proc/keys", "/proc/timer_list", "/proc/kcore"):
        if os.path.exists(masked):
            assert inside.path(masked).read_bytes() == b"", masked


def test_the_pids_limit_holds_from_inside(host: Pydockd, image: str) -> None:
    script = "for n in $(seq 100); do sleep 3600 & done; echo never; wait"
    host.apply(container("forks", image, command=["sh", "-c", script], resources={"limits": {"pids": 20}}))

    def refused() -> bool:
        return "can't fork" in host.cli("logs", "forks").stdout

    wait.until(refused, 10.0, "a fork to be refused")
    assert "never" not in host.cli("logs", "forks").stdout
    host.delete("Container", "forks")


def odd_descriptors(pid: int, conmon: int) -> list[str]:
    """What a container's process has open beyond an empty standard input and the two pipes that its conmon reads."""
    found = {int(entry.name): os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    read = {os.readlink(entry) for entry in Path(f"/proc/{conmon}/fd").iterdir()}
    right = {0: found.get(0) == "/dev/null"} | {
        number: found.get(number, "").startswith("pipe:") and found[number] in read for number in (1, 2)
    }
    return [f"{number}: {found.get(number)}" for number in sorted({*found, *right}) if not right.get(number, False)]


def conmon_of(host: Pydockd, inside: Inside) -> int:
    parent = int(inside.status["PPid"])
    assert Path(f"/proc/{parent}/comm").read_text() == "conmon\n"
    return parent


def test_no_descriptor_of_ours_and_a_directory_of_its_own(host: Pydockd, inside: Inside) -> None:
    assert odd_descriptors(inside.pid, conmon_of(host, inside)) == []
    assert inside.is_in("/www")
    assert os.readlink(f"/proc/{inside.pid}/root") == "/"
    assert not os.path.samefile(f"/proc/{inside.pid}/root", "/")


def test_each_descriptor_too_many_would_be_seen(host: Pydockd, image: str) -> None:
    """Those of a container that opens some itself, as if they had been left to it."""
    opens = "exec 3</etc/hosts 4>/dev/null 5<>/tmp/x 6>&1 1>/dev/null; echo opened >&2"
    script = f"{opens}; while :; do sleep 3600 & wait $!; done"
    host.apply(container("opens", image, command=["sh", "-c", script]))
    found = Inside(host.wait_ready_container("opens")["pid"])
    wait.until(lambda: "opened" in host.cli("logs", "opens").stdout, 10.0, "its descriptors")
    seen = odd_descriptors(found.pid, conmon_of(host, found))
    assert [line.split(": ")[0] for line in seen] == ["1", "3", "4", "5", "6"]
    host.delete("Container", "opens")


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[network_tools.Neighbour]:
    with network_tools.neighbour(tmp_path, 2) as found:
        yield found


def test_the_wire_reaches_published_ports_and_nothing_else(
    host: Pydockd, image: str, wire: network_tools.Neighbour
) -> None:
    public, private = images.free_port(), images.free_port()
    ports = [
        {"containerPort": 80, "hostPort": public},
        {"containerPort": 81, "hostPort": private, "hostIP": "127.0.0.1"},
    ]
    host.apply(container("served", image, ports=ports))
    status = host.wait_ready_container("served")
    address = status["addresses"][0]["address"]
    inside = Inside(status["pid"]).network
    wire.command("ip", "route", "add", f"{address}/32", "via", wire.host)
    with network_tools.serving(inside, 80, "public"), network_tools.serving(inside, 81, "private"):
        assert network_tools.ask(wire.path, wire.host, public).startswith("public")
        assert network_tools.ask(None, "127.0.0.1", private).startswith("private")
        for port in (80, 81):
            assert network_tools.unreachable(wire.path, address, port), "a container's address from the wire"
        assert network_tools.unreachable(wire.path, wire.host, private), "a port of 127.0.0.1 from the wire"


@pytest.fixture
def two(make_host: Callable[..., Pydockd], image: str) -> tuple[Pydockd, Pydockd]:
    """Two instances in one network namespace, a container in each."""
    made = make_host(), make_host()
    for one in made:
        one.start()
        one.apply(container("web", image))
        one.wait_ready_container("web")
    return made


def address(host: Pydockd) -> str:
    return str(host.status("web")["addresses"][0]["address"])


def test_two_instances_side_by_side(two: tuple[Pydockd, Pydockd]) -> None:
    first, second = two
    inner = [Inside(host.status("web")["pid"]) for host in two]
    tables, links = network_tools.run("nft", "list", "tables"), network_tools.run("ip", "-d", "link")
    for host in two:
        assert f"table ip {names.nft_table(host.instance)}\n" in tables
        assert f"alias pydock:{host.instance}:network:" in links
        assert leaks_host.cgroups(names.slice_name(host.instance))
    bridges = {(host.get("Network", "default") or {})["status"]["bridge"] for host in two}
    assert len(bridges) == 2
    with network_tools.serving(inner[0].network, 80), network_tools.serving(inner[1].network, 80):
        assert network_tools.unreachable(inner[0].network, address(second), 80)
        assert network_tools.unreachable(inner[1].network, address(first), 80)
        assert network_tools.ask(None, address(first), 80)

    kept = second.status("web")
    first.remove_all()
    first.stop()
    assert names.nft_table(first.instance) not in network_tools.run("nft", "list", "tables")
    assert first.instance not in network_tools.run("ip", "-d", "link")
    assert not leaks_host.cgroups(names.slice_name(first.instance))
    assert second.status("web") == kept
    with network_tools.serving(inner[1].network, 81):
        assert network_tools.ask(None, address(second), 81)
