"""An Image that goes after the versions of a range, at a real registry."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.testing import images, wait
from reconciler.testing.daemon import Pydockd, container


@pytest.fixture(scope="module")
def versions() -> Iterator[images.Server]:
    with images.registry() as server:
        yield server


def publish(server: images.Server, tag: str) -> str:
    made = images.busybox(f"version {tag}\n")
    images.push(server.address, "team/app", tag, made)
    return made.digest


def following(server: images.Server, wanted: str) -> dict[str, Any]:
    return {
        "apiVersion": "pydock.dev/v1", "kind": "Image", "metadata": {"name": "app"},
        "spec": {"reference": f"{server.address}/team/app:1.x",
                 "updatePolicy": {"type": "SemVer", "range": wanted, "interval": "1s"}},
    }  # fmt: skip


def latest(host: Pydockd) -> tuple[Any, Any]:
    found = host.get("Image", "app", "")
    status = found["status"] if found is not None else {}
    return status.get("latestTag"), status.get("digest")


def test_a_newer_version_of_the_range_makes_the_container_anew(host: Pydockd, versions: images.Server) -> None:
    publish(versions, "1.2.9")
    first = publish(versions, "1.2.10")
    publish(versions, "2.0.0")
    host.apply(following(versions, ">=1.2 <2"))
    port = images.free_port()
    serves = {"command": ["httpd", "-f", "-p", "80", "-h", "/www"], "ports": [{"containerPort": 80, "hostPort": port}]}
    host.apply(container("app", f"{versions.address}/team/app:1.x", **serves))
    before = host.wait_ready_container("app")
    assert latest(host) == ("1.2.10", first)
    wait.until(lambda: page(port) == "version 1.2.10\n", 20, "the page to be served")
    second = publish(versions, "v1.3.0")
    wait.until(lambda: latest(host) == ("v1.3.0", second), 20, "the new version to be found")
    wait.until(lambda: page(port) == "version v1.3.0\n", 20, "the container to be made of it")
    assert host.wait_ready_container("app")["startedAt"] != before["startedAt"]
    jobs = host.cli("jobs", "--for", "image/app").stdout
    assert f"v1.3.0 ({second}) is the highest version in >=1.2 <2" in jobs
    assert host.cli("image", "inspect", f"{versions.address}/team/app:1.x").returncode == 0


def page(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/index.html", timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("policy", "said"),
    [({"type": "SemVer"}, "SemVer needs a range beside it"),
     ({"type": "SemVer", "range": "newest"}, "'newest' is no range of versions"),
     ({"type": "Digest", "range": "1.x"}, "only SemVer has a range")],
)  # fmt: skip
def test_what_is_no_policy_is_told(host: Pydockd, versions: images.Server, policy: dict[str, str], said: str) -> None:
    document = following(versions, "1.x")
    document["spec"]["updatePolicy"] = policy
    status, answer = host.request("POST", "/apis/pydock.dev/v1/images", document)
    assert (status, said in answer["message"]) == (422, True), answer
