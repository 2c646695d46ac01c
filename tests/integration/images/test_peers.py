"""Images made and pushed by umoci, skopeo, buildah and docker: pulled from a real registry, their tree is the one that
``umoci unpack`` makes, whatever the driver, and the daemon runs them."""

from __future__ import annotations

import pathlib
import urllib.request
from collections.abc import Iterator

import pytest

from reconciler.drivers.registry import client
from reconciler.images import pulling as pulls
from reconciler.model import references
from reconciler.testing import graph_trees, images
from reconciler.testing.daemon import Pydockd, container
from reconciler.testing.docker import Docker
from reconciler.testing.graph_suite import Place
from reconciler.testing.image_peers import MAKERS, Peers

#: named by no member: their times are nobody's, and theirs are of the day
UNNAMED = (".", "implied", "implied/by")


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory, docker: Docker) -> Iterator[Peers]:
    with images.registry() as server:
        yield Peers(server.address, tmp_path_factory.mktemp("peers"), docker)


@pytest.fixture(scope="module", params=MAKERS)
def made(request: pytest.FixtureRequest, peers: Peers) -> str:
    """The reference of what one of the makers pushed."""
    return MAKERS[request.param](peers, request.param)


def test_the_tree_is_the_one_that_umoci_makes(
    peers: Peers, btrfs: pathlib.Path, tmp_path: pathlib.Path, made: str
) -> None:
    theirs = peers.unpacked(made)
    for path in UNNAMED:
        theirs.pop(path, None)
    for driver, root in (("overlay", tmp_path), ("vfs", tmp_path), ("btrfs", btrfs / tmp_path.name)):
        place = Place(root / driver, driver)
        try:
            found = pulls.pull(references.parse(made), client.RegistryClient(), place.graph)
            ours = graph_trees.describe(place.driver.prepare("x", found.chain))
            for path in UNNAMED:
                ours.pop(path, None)
            assert graph_trees.differences(ours, theirs) == [], driver
        finally:
            place.close()


def test_the_daemon_runs_it(host: Pydockd, made: str) -> None:
    maker = references.parse(made).path
    host.apply(container(maker, made, command=["/bin/httpd", "-f", "-p", "80", "-h", "/www"]))
    address = host.wait_ready_container(maker)["addresses"][0]["address"]
    assert host.status(maker)["phase"] == "Running"
    with urllib.request.urlopen(f"http://{address}/index.html", timeout=10) as answer:
        assert answer.read().startswith(f"hello from {maker}".encode())
    host.delete("Container", maker)
    host.wait_gone("Container", maker)
