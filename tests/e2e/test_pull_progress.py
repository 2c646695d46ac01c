"""How far a pull has come is seen wherever somebody looks: in objects, in jobs, by `pull`, `apply --wait`, `get -w`."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from reconciler.testing import graph_tars, images, registry_hostile, wait
from reconciler.testing.daemon import BIN, Pydockd, container

SIZE = 16 << 20


class Slow(NamedTuple):
    """A registry whose one large layer comes by drops until the gate is opened."""

    server: registry_hostile.HostileServer
    reference: str
    layer: str
    drip: registry_hostile.Dripping

    def fetches(self) -> int:
        return sum(path.endswith(self.layer) for path in self.server.paths)


@pytest.fixture
def slow() -> Iterator[Slow]:
    large = graph_tars.archive([graph_tars.Member(b"large", os.urandom(SIZE))])
    image = images.build([images.busybox_layer(), large], {"Env": ["PATH=/bin"]}, packing="plain")
    digest = max(image.blobs, key=lambda each: len(image.blobs[each]))
    drip = registry_hostile.Dripping(image.blobs[digest])
    with registry_hostile.hostile() as server:
        reference = server.serve_image(image)
        server.handlers[f"/v2/x/blobs/{digest}"] = drip
        try:
            yield Slow(server, reference, digest, drip)
        finally:
            drip.gate.set()


def progress(host: Pydockd, kind: str, name: str) -> dict[str, Any]:
    found = host.get(kind, name)
    return (found or {"status": {}})["status"].get("progress") or {}


def image_object(reference: str) -> dict[str, Any]:
    return {
        "apiVersion": "pydock.dev/v1", "kind": "Image", "metadata": {"name": "kept"}, "spec": {"reference": reference}
    }  # fmt: skip


def test_one_download_that_everybody_sees(host: Pydockd, slow: Slow) -> None:
    host.apply(image_object(slow.reference))
    host.apply(container("web", slow.reference))
    first = wait.until(lambda: progress(host, "Image", "kept").get("current"), what="progress of the image")
    before = host.get("Image", "kept")
    assert before is not None
    wait.until(lambda: progress(host, "Image", "kept")["current"] > first, what="more of it")
    after = host.get("Image", "kept")
    assert after is not None
    shown, ready = after["status"]["progress"], after["status"]["conditions"][0]
    assert shown["total"] > SIZE
    assert 0 <= shown["percent"] < 100
    assert shown["bytesPerSecond"] > 0
    assert {"digest": slow.layer, "status": "downloading"}.items() <= shown["layers"][1].items()
    assert (ready["status"], ready["reason"]) == ("False", "Pulling")
    assert f"pulling {slow.reference}: " in ready["message"]
    # nothing is written for it
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    wait.until(lambda: progress(host, "Container", "web"), what="progress of the container")
    jobs = host.api("GET", "/apis/pydock.dev/v1/jobs")["items"]
    assert [job["progress"]["reference"] for job in jobs if job["status"] == "running"] == [slow.reference]
    assert f"{slow.reference}: " in host.cli("jobs").stdout
    assert "Pulling" in host.cli("get", "images").stdout

    pulling = subprocess.Popen(
        [BIN / "pydock", "-H", f"unix://{host.socket}", "pull", slow.reference], stdout=subprocess.PIPE, text=True
    )
    assert pulling.stdout is not None
    first_line = pulling.stdout.readline()
    slow.drip.gate.set()
    told = first_line + pulling.stdout.read()
    assert pulling.wait(20) == 0
    pulling.stdout.close()
    assert f"{slow.layer[7:19]}: downloading" in told
    assert told.splitlines()[-1].startswith(f"{slow.reference}: sha256:")
    host.wait_ready_container("web")
    assert slow.fetches() == 1
    assert not progress(host, "Image", "kept")
    host.delete("Container", "web")
    host.delete("Image", "kept")


def test_apply_and_wait_tells_of_the_pull_beside_its_results(host: Pydockd, slow: Slow, tmp_path: Path) -> None:
    manifest = tmp_path / "web.yaml"
    manifest.write_text(yaml.safe_dump(container("waited", slow.reference)))
    command = [BIN / "pydock", "-H", f"unix://{host.socket}", "apply", "-f", manifest, "--wait", "--timeout", "60s"]
    applying = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert applying.stderr is not None
    line = ""
    while "downloading" not in line:
        line = applying.stderr.readline()
        assert line
    slow.drip.gate.set()
    out, _ = applying.communicate(timeout=30)
    assert line.startswith(slow.layer[7:19])
    assert (applying.returncode, out) == (0, "container/waited created\ncontainer/waited ready\n")
    host.delete("Container", "waited")


def at_terminal(host: Pydockd, *words: str) -> tuple[subprocess.Popen[bytes], int]:
    ours, theirs = pty.openpty()
    command = [BIN / "pydock", "-H", f"unix://{host.socket}", *words]
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**os.environ, "COLUMNS": "120"})
    os.close(theirs)
    return process, ours


def read_until(terminal: int, done: Callable[[bytes], bool]) -> bytes:
    shown = b""
    with contextlib.suppress(OSError):  # the terminal's end
        while not done(shown) and (piece := os.read(terminal, 65536)):
            shown += piece
    return shown


def test_bars_below_a_watched_table(host: Pydockd, slow: Slow) -> None:
    watching, terminal = at_terminal(host, "get", "containers", "-w")
    host.apply(container("barred", slow.reference))
    shown = read_until(terminal, lambda text: "━".encode() in text and b"downloading" in text)
    assert slow.layer[7:19].encode() in shown
    slow.drip.gate.set()
    assert b"Running" in read_until(terminal, lambda text: b"Running" in text)
    watching.terminate()
    watching.wait(10)
    os.close(terminal)
    host.delete("Container", "barred")


def test_elsewhere_a_watched_table_has_few_lines(host: Pydockd, slow: Slow) -> None:
    command = [BIN / "pydock", "-H", f"unix://{host.socket}", "get", "containers", "-w", "--no-headers"]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert watching.stdout is not None
    host.apply(container("lines", slow.reference))
    lines = [""]
    while "%" not in lines[-1]:
        lines.append(watching.stdout.readline())
        assert lines[-1]
    wait.until(lambda: progress(host, "Container", "lines")["percent"] >= 10, what="a tenth of it")
    slow.drip.gate.set()
    while not any("Running" in line for line in lines):
        lines.append(watching.stdout.readline())
    watching.terminate()
    watching.wait(10)
    watching.stdout.close()
    pulling = [line for line in lines if "Pulling" in line]
    assert 1 <= len(pulling) <= 4
    host.delete("Container", "lines")


def test_a_tag_that_has_not_moved_costs_one_request(host: Pydockd) -> None:
    with registry_hostile.hostile() as server:
        reference = server.serve_image(images.busybox("one request"))
        assert host.cli("pull", reference).returncode == 0
        server.seen.clear()
        again = host.cli("pull", reference)
        assert (again.returncode, "unchanged" in again.stdout) == (0, True)
        assert server.paths == server.heads == ["/v2/x/manifests/latest"]
        took = host.api("GET", "/apis/pydock.dev/v1/jobs?limit=1")["items"][0]
        assert took["name"] == "pull_image"
        server.serve_image(images.busybox("another"))
        assert "unchanged" not in host.cli("pull", reference).stdout
