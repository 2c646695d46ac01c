"""A running daemon and its directory of manifests, when things go wrong there: what runs stays what it is."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.testing import wait
from reconciler.testing.daemon import Pydockd, container

MakeHost = Callable[..., Pydockd]


class Folder:
    """The directory of a daemon, and what the daemon says of it."""

    def __init__(self, host: Pydockd, image: str) -> None:
        self.host, self.image = host, image

    def write(self, path: str, *documents: dict[str, Any]) -> None:
        """As a careful program does: a rename of what is complete."""
        target = self.host.manifests / path
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = target.with_name(f".{target.name}.new")
        hidden.write_text("---\n".join(json.dumps(document, indent=1) + "\n" for document in documents))
        hidden.rename(target)

    def remove(self, *paths: str) -> None:
        for path in paths:
            (self.host.manifests / path).unlink()

    def container(self, name: str, note: str = "") -> dict[str, Any]:
        document = container(name, self.image)
        if note:
            document["metadata"]["labels"] = {"note": note}
        return document

    def other(self, name: str) -> dict[str, Any]:
        """An object that costs nothing: its image is there already."""
        head = {"apiVersion": "pydock.dev/v1", "kind": "Image"}
        return {**head, "metadata": {"name": name}, "spec": {"reference": self.image}}

    def start(self, name: str) -> int:
        """Writes a manifest ``NAME.yaml``; the pid once it runs."""
        self.write(f"{name}.yaml", self.container(name))
        return int(self.host.wait_ready_container(name)["pid"])

    def note(self, name: str) -> str:
        found = self.host.get("Container", name)
        return str(found["metadata"].get("labels", {}).get("note", "")) if found else "gone"

    def condition(self, name: str) -> dict[str, Any]:
        """The container's condition Source; empty if it has none."""
        found = self.host.status(name)["conditions"]
        return next((dict(each) for each in found if each["type"] == "Source"), {})

    def runs(self, name: str) -> tuple[int, int]:
        """The pid, and how often it was started again."""
        status = self.host.status(name)
        return int(status["pid"]), int(status.get("restartCount", 0))

    def source(self) -> dict[str, Any]:
        (found,) = self.host.api("GET", "/apis/pydock.dev/v1/sources")["items"]
        return dict(found)

    def file(self, path: str) -> dict[str, Any]:
        return next((each for each in self.source()["files"] if each["path"] == path), {})

    def wait_state(self, path: str, state: str) -> dict[str, Any]:
        """The file once it has that state."""
        found = wait.until(
            lambda: self.file(path) if self.file(path).get("state") == state else None, 5.0, f"{path} {state}"
        )
        assert found is not None
        return found

    def wait_source(self, state: str, timeout: float = 5.0) -> dict[str, Any]:
        found = wait.until(
            lambda: self.source() if self.source()["state"] == state else None, timeout, f"state {state}"
        )
        assert found is not None
        return found

    def settled(self) -> None:
        """Until a look has seen all that is there now: a new file is read and gone again."""
        (self.host.manifests / "zz-marker.yaml").write_text("{}")
        self.wait_state("zz-marker.yaml", "invalid")
        self.remove("zz-marker.yaml")
        wait.until(lambda: not self.file("zz-marker.yaml"), 5.0, "the marker to be forgotten")

    def objects(self, plural: str) -> set[str]:
        return {each["metadata"]["name"] for each in self.host.api("GET", f"/apis/pydock.dev/v1/{plural}")["items"]}


@pytest.fixture(scope="module")
def folder(host: Pydockd, image: str) -> Folder:
    return Folder(host, image)


@pytest.fixture
def make_folder(make_host: MakeHost, image: str) -> Callable[[], Folder]:
    return lambda: Folder(make_host().start(), image)


def test_written_byte_by_byte_the_last_good_version_runs_on(folder: Folder) -> None:
    pid = folder.start("slow")
    text = json.dumps(folder.container("slow", note="new")).encode()
    with (folder.host.manifests / "slow.yaml").open("wb", buffering=0) as file:
        for at in range(len(text) // 2):
            file.write(text[at : at + 1])
            assert (folder.host.status("slow")["pid"], folder.note("slow")) == (pid, "")
        folder.wait_state("slow.yaml", "writing")
        assert (folder.host.status("slow")["pid"], folder.note("slow")) == (pid, "")
        for at in range(len(text) // 2, len(text)):
            file.write(text[at : at + 1])
    wait.until(lambda: folder.note("slow") == "new", 5.0, "the whole file to take effect")
    assert folder.runs("slow") == (pid, 0)


def test_a_writer_that_pauses_changes_nothing_until_it_has_finished(folder: Folder) -> None:
    """The first lines of a manifest are a good manifest too."""
    text = (
        "apiVersion: pydock.dev/v1\nkind: Container\nmetadata:\n  name: pause\nspec:\n"
        f"  image: {folder.image}\n  hostname: paused\n"
    )
    (folder.host.manifests / "pause.yaml").write_text(text)
    pid = int(folder.host.wait_ready_container("pause")["pid"])
    with (folder.host.manifests / "pause.yaml").open("w") as file:
        file.write(text[: text.index("  hostname")])
        file.flush()
        writing = folder.wait_state("pause.yaml", "writing")
        assert f"(pid {os.getpid()}) has it open" in writing["message"]
        wait.until(lambda: folder.condition("pause").get("reason") == "BeingWritten", 5.0, "the condition")
        assert folder.runs("pause") == (pid, 0)
        file.write(text[text.index("  hostname") :])
    wait.until(lambda: folder.file("pause.yaml").get("state") == "ok", 5.0, "the whole file to be taken")
    assert folder.runs("pause") == (pid, 0)
    assert folder.condition("pause") == {}


def test_an_object_says_that_its_file_is_ahead(folder: Folder) -> None:
    pid = folder.start("ahead")
    (folder.host.manifests / "ahead.yaml").write_text("kind: Contaner\n")
    wait.until(lambda: folder.condition("ahead"), 5.0, "the condition")
    assert folder.condition("ahead")["reason"] == "Invalid"
    assert folder.condition("ahead")["message"].startswith("ahead.yaml:1:")
    assert "ahead.yaml:1:" in folder.host.cli("describe", "container", "ahead").stdout
    assert folder.source()["state"] == "problems"
    folder.write("ahead.yaml", folder.container("ahead"))
    wait.until(lambda: not folder.condition("ahead"), 5.0, "the condition to go")
    assert folder.runs("ahead") == (pid, 0)


def test_an_object_moves_between_the_api_and_a_file(folder: Folder) -> None:
    """Its owner changes, and nothing else: both ways by a document that says so."""
    document = folder.container("moves")
    folder.host.apply(document)
    pid = int(folder.host.wait_ready_container("moves")["pid"])
    folder.write("moves.yaml", document)
    folder.wait_state("moves.yaml", "refused")
    refused = folder.host.cli("delete", "container", "moves")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"declared by dir:{folder.host.manifests}/moves.yaml too" in refused.stderr
    taking = {**document, "metadata": {**document["metadata"], "annotations": {"pydock.dev/take-over": "true"}}}
    folder.write("moves.yaml", taking)
    owner = {"source": f"dir:{folder.host.manifests}", "item": "moves.yaml"}
    wait.until(lambda: folder.host.status("moves")["owner"] == owner, 5.0, "the file to own it")
    folder.write("moves.yaml", document)
    wait.until(
        lambda: (
            "annotations" not in str(folder.host.get("Container", "moves"))
            or not (folder.host.get("Container", "moves") or {})["metadata"].get("annotations")
        ),
        5.0,
        "the annotation to go",
    )
    folder.host.apply(taking)
    assert folder.host.status("moves")["owner"]["source"] == "api"
    folder.remove("moves.yaml")
    wait.until(lambda: not folder.file("moves.yaml"), 5.0, "the file to be forgotten")
    assert folder.runs("moves") == (pid, 0)
    folder.host.delete("Container", "moves")


def test_of_two_files_that_name_one_object_the_running_one_stays(folder: Folder) -> None:
    pid = folder.start("double")
    folder.write("another.yaml", folder.container("double", note="usurper"), folder.other("bystander"))
    found = folder.wait_state("another.yaml", "refused")
    assert found["problems"] == [
        "another.yaml: container/default/double is already held by double.yaml: keep it in one of the two"
    ]
    assert (folder.note("double"), folder.runs("double")) == ("", (pid, 0))
    assert "bystander" not in folder.objects("images")
    listed = folder.host.cli("source", "ls").stdout
    assert "another.yaml: container/default/double is already held by double.yaml" in listed
    assert listed.splitlines()[1].split()[1] == "problems"
    assert folder.condition("double")["reason"] == "SecondClaim"
    folder.remove("double.yaml")
    wait.until(lambda: folder.note("double") == "usurper", 5.0, "the other file to take over")
    assert folder.runs("double") == (pid, 0)


def test_what_moves_between_files_runs_on(folder: Folder) -> None:
    pid = folder.start("mover")
    (folder.host.manifests / "deep/er").mkdir(parents=True)
    (folder.host.manifests / "mover.yaml").rename(folder.host.manifests / "deep/er/moved.json")
    owner = {"source": f"dir:{folder.host.manifests}"}
    wait.until(
        lambda: folder.host.status("mover").get("owner") == owner | {"item": "deep/er/moved.json"}, 5.0, "the move"
    )
    folder.write("both.yaml", folder.other("companion"), folder.container("mover"))
    folder.remove("deep/er/moved.json")
    wait.until(
        lambda: folder.host.status("mover").get("owner") == owner | {"item": "both.yaml"}, 5.0, "the second move"
    )
    folder.settled()
    assert folder.runs("mover") == (pid, 0)


def test_leftovers_are_ignored_and_what_is_no_file_stops_nobody(folder: Folder) -> None:
    text = json.dumps(folder.container("leftover"))
    for name in (".web.yaml.swp", "web.yaml.bak", "4913", "web.yaml~", "#web.yaml#", ".web.yaml"):
        (folder.host.manifests / name).write_text(text)
    os.mkfifo(folder.host.manifests / "fifo.yaml")
    (folder.host.manifests / "shadow.yaml").symlink_to("/etc/shadow")
    (folder.host.manifests / "root").symlink_to("/")
    folder.start("sound")
    assert folder.wait_state("fifo.yaml", "unreadable")["problems"] == ["fifo.yaml: not a regular file: not read"]
    assert folder.wait_state("shadow.yaml", "unreadable")["problems"] == [
        "shadow.yaml: a link out of the directory: not read"
    ]
    assert folder.wait_state("root", "unreadable")["problems"] == ["root: a link out of the directory: not followed"]
    assert "leftover" not in folder.objects("containers")
    folder.remove("fifo.yaml", "shadow.yaml", "root")


def test_removed_and_restored_it_is_one_container(make_folder: Callable[[], Folder]) -> None:
    """At once, across an orderly end, and across a kill that comes right after the removal."""
    folder = make_folder()
    pid = folder.start("phoenix")
    folder.remove("phoenix.yaml")
    folder.write("phoenix.yaml", folder.container("phoenix"))
    folder.settled()
    assert folder.runs("phoenix") == (pid, 0)
    for end in (folder.host.stop, folder.host.kill):
        folder.remove("phoenix.yaml")
        end()
        folder.write("phoenix.yaml", folder.container("phoenix"))
        folder.host.start()
        folder.settled()
        assert folder.runs("phoenix") == (pid, 0)
        assert folder.objects("containers") == {"phoenix"}
    running = subprocess.run(
        ["pgrep", "-f", f"conmon.*{folder.host.instance}"], capture_output=True, text=True, check=True
    )
    assert len(running.stdout.split()) == 1


def test_more_than_half_gone_at_once_is_held_until_acknowledged(make_folder: Callable[[], Folder]) -> None:
    folder = make_folder()
    pid = folder.start("precious")
    names = [f"image{number}" for number in range(5)]
    for name in names:
        folder.write(f"{name}.yaml", folder.other(name))
    wait.until(lambda: folder.objects("images") == set(names), 5.0, "the images")
    for file in folder.host.manifests.glob("*.yaml"):
        file.unlink()
    held = folder.wait_source("held")
    assert held["held"] == ["container/default/precious", *(f"image/{name}" for name in names)]
    folder.host.kill()
    folder.host.start()
    assert folder.source()["held"] == held["held"]
    assert folder.runs("precious") == (pid, 0)
    listed = folder.host.cli("source", "ls")
    assert "container/default/precious" in listed.stdout
    # What came back is neither shown nor removed.
    folder.write("precious.yaml", folder.container("precious"))
    wait.until(lambda: len(folder.source()["held"]) == 5, 5.0, "the container to be held no longer")
    done = folder.host.cli("source", "ack", "--yes", held["name"])
    assert done.returncode == 0, done.stderr
    wait.until(lambda: not folder.objects("images"), 5.0, "the images to go")
    assert folder.runs("precious") == (pid, 0)
    assert folder.source()["state"] == "ok"


@pytest.fixture
def mounted(make_host: MakeHost, image: str) -> Iterator[Folder]:
    """A daemon whose directory is a mount of its own."""
    host = make_host()
    mount = ["mount", "-t", "tmpfs", "none", str(host.manifests)]
    subprocess.run(mount, check=True)
    try:
        yield Folder(host.start(), image)
    finally:
        if host.manifests.is_mount():
            subprocess.run(["umount", "-l", host.manifests], check=True)


def test_an_unmounted_directory_is_not_an_empty_one(mounted: Folder) -> None:
    pid = mounted.start("mounted")
    subprocess.run(["umount", "-l", mounted.host.manifests], check=True)
    assert mounted.host.process is not None
    mounted.host.process.send_signal(signal.SIGHUP)
    held = mounted.wait_source("held")
    assert held["held"] == ["container/default/mounted"]
    assert "another mount" in held["message"]
    mounted.host.kill()
    mounted.host.start()
    assert mounted.source()["held"] == held["held"]
    subprocess.run(["mount", "-t", "tmpfs", "none", str(mounted.host.manifests)], check=True)
    mounted.write("mounted.yaml", mounted.container("mounted"))
    mounted.host.process.send_signal(signal.SIGHUP)
    mounted.wait_source("ok")
    assert mounted.runs("mounted") == (pid, 0)


def test_a_directory_that_is_missing_or_no_directory_removes_nothing(make_folder: Callable[[], Folder]) -> None:
    folder = make_folder()
    pid = folder.start("kept")
    away = folder.host.manifests.with_name("away")
    folder.host.manifests.rename(away)
    missing = folder.wait_source("unavailable")
    assert missing["message"].startswith(f"there is no directory {folder.host.manifests}: make it with ")
    folder.host.manifests.write_text("no directory")
    wait.until(lambda: "is not a directory" in folder.source()["message"], 5.0, "another message")
    folder.host.manifests.unlink()
    away.rename(folder.host.manifests)
    folder.wait_source("ok")
    folder.settled()
    assert folder.runs("kept") == (pid, 0)


def test_a_directory_that_is_missing_at_the_start_is_told_to_systemd_too(make_host: MakeHost, tmp_path: Path) -> None:
    """The unit starts, and its status says what is missing, until that comes."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(20)
        host = make_host()
        host.manifests.rmdir()
        host.start(env={"NOTIFY_SOCKET": address})
        missing = f"there is no directory {host.manifests}: make it with 'mkdir -p {host.manifests}'"
        assert [systemd.recv(1000).decode() for _ in range(2)] == [f"STATUS={missing}", "READY=1"]
        assert json.loads(host.cli("source", "ls", "-o", "json").stdout)[0]["message"] == missing
        host.manifests.mkdir()
        assert systemd.recv(1000).decode() == "STATUS=every source is followed"


def test_of_a_thousand_files_999_apply(make_folder: Callable[[], Folder]) -> None:
    folder = make_folder()
    tree = folder.host.work / "tree"
    for number in range(1000):
        path = tree / str(number // 100) / f"{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(folder.other(f"image{number}")))
    (tree / "5/500.json").write_text("{")
    tree.rename(folder.host.manifests / "tree")
    wanted = {f"image{number}" for number in range(1000)} - {"image500"}
    wait.until(lambda: folder.objects("images") == wanted, 30.0, "999 objects")
    found = folder.file("tree/5/500.json")
    assert found["problems"] == [
        "tree/5/500.json:1:2: not valid JSON: expected a key in double quotes, found the end of the text"
    ]
    assert sum(each["state"] == "ok" for each in folder.source()["files"]) == 999


def test_writers_at_once_are_all_heard(folder: Folder) -> None:
    """Nothing that happens while the daemon looks is lost, the timed look being 30 s away."""

    def write(writer: int) -> None:
        for number in range(3):
            folder.write(f"burst/{writer}/{number}.yaml", folder.other(f"burst-{writer}-{number}"))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = {f"burst-{writer}-{number}" for writer in range(20) for number in range(3)}
    wait.until(lambda: wanted <= folder.objects("images"), 5.0, "all objects of the burst")


def test_more_events_than_the_kernel_keeps_are_one_more_look(folder: Folder) -> None:
    """The daemon is stopped, the kernel's queue of events overflows, and a manifest comes after that."""
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    folder.settled()
    process = folder.host.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        names = (str(folder.host.manifests / ".ping"), str(folder.host.manifests / ".pong"))
        Path(names[0]).touch()
        for number in range(most // 2 + 1):  # two events each
            os.rename(names[number % 2], names[1 - number % 2])
        folder.write("overflow.yaml", folder.other("overflow"))
    finally:
        process.send_signal(signal.SIGCONT)
    wait.until(lambda: "overflow" in folder.objects("images"), 5.0, "what came after the overflow")
