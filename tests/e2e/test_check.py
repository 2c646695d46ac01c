"""``pydock system check``: damage on the disk is found and told, and mended from where the image came."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.testing import graph_tars as tars
from reconciler.testing import images, wait
from reconciler.testing.daemon import Pydockd, container


@pytest.fixture
def host(make_host: Callable[..., Pydockd]) -> Pydockd:
    return make_host().start()


@pytest.fixture
def reference(registry: images.Server, host: Pydockd) -> str:
    """An image of two layers, pulled."""
    upper = tars.archive([tars.Member(b"data", os.urandom(100_000)), tars.Member(b"more", b"more")])
    made = images.build([images.busybox_layer(), upper], {"Cmd": ["sleep", "3600"]})
    found = images.push(registry.address, f"checked-{os.getpid()}", "1", made)
    assert host.cli("pull", found).returncode == 0
    return found


def check(host: Pydockd, *flags: str) -> tuple[int, list[dict[str, Any]], dict[str, int]]:
    """Status, findings and summary."""
    done = host.cli("system", "check", "-o", "json", *flags)
    found = json.loads(done.stdout)
    return done.returncode, found["findings"], found["summary"]


def graph(host: Pydockd) -> Path:
    return host.root / "graph"


def blobs(host: Pydockd) -> list[Path]:
    return sorted((graph(host) / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)


def tree(host: Pydockd) -> Path:
    """The upper layer's."""
    return next(path for path in (graph(host) / "layers").iterdir() if (path / "data").exists())


def test_what_is_whole(host: Pydockd, reference: str) -> None:
    done = host.cli("system", "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "4 blobs and 2 layers checked\nno damage\n"
    assert check(host) == (0, [], {"blobs": 4, "layers": 2, "unchecked": 0, "damaged": 0, "repaired": 0,
                                   "leftovers": 0, "unfinished": 0})  # fmt: skip


def test_a_damaged_blob_is_told_and_fetched_anew(host: Pydockd, reference: str) -> None:
    blob = blobs(host)[-1]
    good = blob.read_bytes()
    blob.write_bytes(good[:-1] + b"x")
    done = host.cli("system", "check")
    assert done.returncode == 1
    assert f"blob sha256:{blob.name}: its content is sha256:" in done.stdout
    assert f"  images: {reference}\n" in done.stdout
    assert done.stdout.endswith("1 damaged: 'pydock system check --repair' fetches them anew\n")
    status, findings, summary = check(host, "--repair")
    assert (status, [each["outcome"] for each in findings], summary["repaired"]) == (0, ["repaired"], 1)
    assert blob.read_bytes() == good
    assert host.cli("system", "check").stdout.endswith("no damage\n")


@pytest.mark.parametrize("which", range(4), ids=["smallest", "small", "large", "largest"])
def test_each_blob_that_is_missing_comes_again(host: Pydockd, reference: str, which: int) -> None:
    """The manifest, the configuration, and the layers'."""
    before = {path: path.read_bytes() for path in blobs(host)}
    blobs(host)[which].unlink()
    assert check(host)[0] == 1
    assert check(host, "--repair")[0] == 0
    assert {path: path.read_bytes() for path in blobs(host)} == before
    assert check(host)[:2] == (0, [])


def test_a_damaged_layer_is_mended(host: Pydockd, reference: str) -> None:
    data = tree(host) / "data"
    before = data.read_bytes()
    (tree(host) / "more").unlink()
    data.write_bytes(b"\0" * len(before))
    status, findings, _ = check(host)
    assert status == 1
    assert "'data' has " in findings[0]["problem"]
    assert "'more' is missing" in findings[0]["problem"]
    assert check(host, "--repair")[0] == 0
    assert (tree(host) / "data").read_bytes() == before
    assert check(host)[:2] == (0, [])


def test_layers_above_a_damaged_one_are_looked_at_once_that_is_mended(host: Pydockd, reference: str) -> None:
    lower = next(path for path in (graph(host) / "layers").iterdir() if (path / "bin" / "busybox").exists())
    (lower / "bin" / "busybox").chmod(0o700)
    (tree(host) / "more").unlink()
    status, findings, summary = check(host)
    assert (status, len(findings), summary["unchecked"]) == (1, 1, 1)
    status, findings, summary = check(host, "--repair")
    assert (status, len(findings), summary["repaired"]) == (0, 2, 2)


def test_a_layer_that_is_gone_is_unpacked_anew(host: Pydockd, reference: str) -> None:
    here = tree(host)
    shutil.rmtree(here)
    assert "its tree is missing" in check(host)[1][0]["problem"]
    assert check(host, "--repair")[0] == 0
    assert (here / "data").exists()
    host.stop()
    for record in (graph(host) / "chains").iterdir():
        record.unlink()
    host.start()
    assert [each["problem"] for each in check(host)[1]] == ["it is missing"], "those above are not checked then"
    assert check(host, "--repair")[0] == 0
    assert check(host)[:2] == (0, [])


def test_nothing_is_pulled_away_from_under_a_running_container(host: Pydockd, reference: str) -> None:
    host.apply(container("user", reference, command=["sleep", "3600"]))
    pid = host.wait_ready_container("user")["pid"]
    (tree(host) / "more").unlink()
    done = host.cli("system", "check", "--repair")
    assert done.returncode == 1
    assert "  containers: container/default/user\n" in done.stdout
    assert "not repaired: layer sha256:" in done.stdout
    assert "'pydock stop'" in done.stdout
    assert host.status("user")["pid"] == pid
    host.delete("Container", "user")
    host.wait_gone("Container", "user")
    assert check(host, "--repair")[0] == 0


@contextlib.contextmanager
def empty_registry(reference: str) -> Iterator[None]:
    """A server in the place of the registry of ``reference``, that has nothing."""
    port = int(reference.partition("/")[0].rpartition(":")[2])
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Nothing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


class Nothing(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_what_cannot_be_had_again_is_told_and_stays(make_host: Callable[..., Pydockd], tmp_path: Path) -> None:
    host = make_host().start()
    with images.registry() as server:
        reference = images.push(server.address, "x", "1", images.busybox())
        assert host.cli("pull", reference).returncode == 0
    blobs(host)[-1].write_bytes(b"damaged")
    # one that does not answer at all would be asked again and again for some seconds
    with empty_registry(reference):
        status, findings, _ = check(host, "--repair")
    assert status == 1
    assert reference.partition("/")[0] in findings[0]["outcome"]
    assert blobs(host)[0].exists()
    host.apply(container("runs", reference))
    assert host.wait_ready_container("runs"), "its layer is whole"


def test_leftovers_and_temporary_files_are_counted(host: Pydockd, reference: str) -> None:
    (graph(host) / "tmp" / "left").write_text("left")
    host.apply({"apiVersion": "pydock.dev/v1", "kind": "Network", "metadata": {"name": "lan"}, "spec": {}})
    name = "0" * 64
    (graph(host) / "blobs" / "sha256" / name).write_text("left")
    status, findings, summary = check(host)
    assert (status, findings) == (0, [])
    assert (summary["leftovers"], summary["unfinished"]) == (1, 1)
    said = host.cli("system", "check").stdout
    assert "1 leftovers: 'pydock system prune' removes them\n" in said
    assert "1 temporary files that nobody is at work on" in said


def test_a_check_while_images_come_and_go(host: Pydockd, registry: images.Server, reference: str) -> None:
    """Neither takes the other's work for damage."""
    for number in range(3):
        other = images.push(registry.address, "passing", str(number), images.busybox(page=f"{number}\n"))
        assert host.cli("pull", other).returncode == 0
        assert check(host)[:2] == (0, [])
        assert host.cli("image", "rm", other).returncode == 0
    wait.until(lambda: check(host)[2]["leftovers"] == 0, 10, "nothing to be left over")
