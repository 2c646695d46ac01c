"""Each example of ``manifests/`` is applied for real; applying all of them again changes nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler import manifest
from reconciler.testing import images, wait
from reconciler.testing.daemon import Pydockd, condition

EXAMPLES = Path(__file__).parents[2] / "manifests"
KINDS = ("images", "networks", "containers")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pydockd]:
    """A daemon beside a registry at the address that the examples name."""
    server = images.start_registry(tmp_path_factory.mktemp("registry"), port=5000)
    daemon = Pydockd(tmp_path_factory.mktemp("examples"))
    try:
        for tag in ("demo", "current", "1.2.5"):
            images.push(server.address, "busybox", tag, images.busybox())
        yield daemon.start()
    finally:
        daemon.close()
        server.stop()


def everything(host: Pydockd) -> dict[str, Any]:
    """All that a change would show in: objects with their resourceVersions, jobs, events, the global revision."""
    found: dict[str, Any] = {kind: host.api("GET", f"/apis/pydock.dev/v1/{kind}") for kind in KINDS}
    found["jobs"] = host.api("GET", "/apis/pydock.dev/v1/jobs?limit=1000")
    found["events"] = host.api("GET", "/apis/pydock.dev/v1/events?limit=1000")
    return found


def finished(host: Pydockd) -> bool:
    """Whether every object has come to what its manifest says: running, or run to its end."""
    for kind in KINDS:
        for item in host.api("GET", f"/apis/pydock.dev/v1/{kind}")["items"]:
            if condition(item["status"], "Ready") != "True" and item["status"]["phase"] not in ("Succeeded", "Failed"):
                return False
    return True


@pytest.fixture(scope="module", autouse=True)
def first(stage: Pydockd) -> subprocess.CompletedProcess[str]:
    """The first apply: each test needs it, whichever process it runs in."""
    done = stage.cli("apply", "-f", str(EXAMPLES))
    wait.until(lambda: finished(stage), 30.0, "all examples to run")
    return done


def test_every_example_is_applied_and_the_second_time_changes_nothing(
    stage: Pydockd, first: subprocess.CompletedProcess[str]
) -> None:
    assert first.returncode == 0, first.stderr
    assert all(line.endswith(" created") for line in first.stdout.splitlines())
    before = everything(stage)

    second = stage.cli("apply", "-f", str(EXAMPLES))
    assert second.returncode == 0, second.stderr
    assert all(line.endswith(" unchanged") for line in second.stdout.splitlines()), second.stdout
    assert everything(stage) == before
    diff = stage.cli("diff", "-f", str(EXAMPLES))
    assert (diff.returncode, diff.stderr) == (0, "")


@pytest.mark.parametrize("file", sorted(EXAMPLES.iterdir()), ids=lambda file: str(file.name))
def test_each_example_names_what_it_makes(stage: Pydockd, file: Path) -> None:
    wait.until(lambda: finished(stage), 30.0, "all examples to run")
    loaded = manifest.load(file.read_bytes(), file.name)
    assert loaded.problems == ()
    assert loaded.documents
    listed = {
        (item["kind"], item["metadata"]["name"])
        for kind in KINDS
        for item in stage.api("GET", f"/apis/pydock.dev/v1/{kind}")["items"]
    }
    assert {(each.document.key.kind, each.document.key.name) for each in loaded.documents} <= listed


def test_the_greeter_is_told_what_its_manifest_says(stage: Pydockd) -> None:
    words = "yes, hello, greeter, from /tmp as 1000:1000"
    wait.until(lambda: words in stage.cli("logs", "greeter").stdout, 10.0, "the greeting")


def test_the_page_of_the_first_example_is_served(stage: Pydockd) -> None:
    def page() -> str:
        return subprocess.run(
            ["busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/"], capture_output=True, text=True, check=False
        ).stdout

    assert wait.until(page, 10.0, "the page") == "hello from hello\n"
