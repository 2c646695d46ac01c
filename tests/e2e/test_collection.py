"""What takes the disk, and how it is got back: tree, df, prune, and the daemon's own collection."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from reconciler.testing import graph_tars, images, wait
from reconciler.testing.daemon import Pydockd, container


@pytest.fixture(scope="module")
def family(registry: images.Server) -> tuple[str, str, str]:
    """References of three images that stand on one layer, the first on nothing else."""
    base = images.busybox_layer()
    config = {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}
    more = [graph_tars.archive([graph_tars.Member(f"own-{n}".encode(), b"x" * 100_000)]) for n in range(2)]
    made = [images.build([base], config), *(images.build([base, each], config) for each in more)]
    first, second, third = (images.push(registry.address, "family", f"v{n}", each) for n, each in enumerate(made))
    return first, second, third


def here(host: Pydockd) -> set[str]:
    return set(host.cli("image", "ls", "-o", "name").stdout.split())


def test_the_disk_is_looked_at_and_tidied_up(make_host: Callable[..., Pydockd], family: tuple[str, str, str]) -> None:
    host = make_host().start()
    base, used, _ = family
    for name in family:
        assert host.cli("pull", name).returncode == 0
    host.apply(container("user", used))
    host.wait_ready_container("user")
    drawn = host.cli("image", "tree").stdout.splitlines()
    assert drawn[1].split()[-2:] == [base, "<none>"]
    assert {line.split()[0] for line in drawn[2:]} == {"├─", "└─"}
    assert host.cli("image", "tree", used).stdout.splitlines()[2].split()[-2:] == [used, "container/default/user"]
    found = json.loads(host.cli("system", "df", "-o", "json").stdout)
    assert [each["key"] for each in found["containers"]] == ["container/default/user"]
    assert found["disk"]["size"] > found["layers"] > found["images"][0]["size"]
    assert "container/default/user" in host.cli("system", "df", "-v").stdout
    shown = host.cli("system", "prune", "--all", "--dry-run").stdout
    assert "Total: 2 images" in shown
    assert here(host) == set(family)
    ran = host.cli("system", "prune", "--all", "--yes")
    assert (ran.returncode, here(host)) == (0, {used}), ran.stderr
    assert "Nothing to remove" in host.cli("system", "prune", "--all").stdout
    after = json.loads(host.cli("system", "df", "-o", "json").stdout)
    assert after["layers"] + after["blobs"] == found["layers"] + found["blobs"] - found["reclaimable"]


def test_what_nothing_uses_goes_by_itself(make_host: Callable[..., Pydockd], family: tuple[str, str, str]) -> None:
    host = make_host().start()
    _, used, unused = family
    for name in (used, unused):
        assert host.cli("pull", name).returncode == 0
    host.apply(container("user", used))
    pid = host.wait_ready_container("user")["pid"]
    host.stop()
    # what was pulled is over the mark, and old enough
    host.start(
        flags=("--resync", "0.5", "--image-gc-high", "0.001", "--image-gc-low", "0.001", "--image-gc-min-age", "0")
    )
    wait.until(lambda: here(host) == {used}, 20.0, "the unused image to go")
    told = host.cli("events").stdout
    assert "ImagesCollected" in told
    assert unused in told
    wait.until(lambda: "DiskPressure" in host.cli("events").stdout, 20.0, "the warning that nothing more can go")
    assert "over its high mark" in host.cli("system", "df").stdout
    assert host.wait_ready_container("user")["pid"] == pid
    assert [each for each in host.cli("jobs").stdout.splitlines() if " collect " in each]
