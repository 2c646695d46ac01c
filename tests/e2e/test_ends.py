"""What waits or follows ends as it should: with the container, at once where the outcome is known, with the server."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from reconciler.testing.daemon import BIN, Pydockd, container

#: seconds within which an outcome that is known is told; the time-outs given are longer
SOON = 15.0


@pytest.fixture(autouse=True)
def nothing_before(host: Pydockd) -> Iterator[None]:
    yield
    host.remove_all()


def applied(host: Pydockd, name: str, image: str, command: list[str], policy: str) -> subprocess.CompletedProcess[str]:
    document = container(name, image, command=command, restartPolicy=policy)
    return host.cli("apply", "-f", "-", "--wait", "--timeout", "5m", input=json.dumps(document))


@pytest.mark.parametrize(
    ("command", "policy", "says"),
    [
        (["/bin/sh", "-c", "sleep 0.2; exit 9"], "Never", "it exited with code 9"),
        (["/bin/sh", "-c", "sleep 0.2; exit 9"], "Always", "it exited with code 9"),
        (["/bin/sh", "-c", "exit 7"], "OnFailure", "it exited with code 7"),
        (["/bin/sh", "-c", "sleep 1; exit 3"], "Never", "it exited with code 3"),
        (["/bin/nosuch"], "Always", "no such file or directory"),
        (["nosuch"], "Never", "executable file not found"),
        (["/etc/passwd"], "Always", "permission denied"),
    ],
)
def test_what_will_not_become_ready_is_told_at_once(
    host: Pydockd, image: str, command: list[str], policy: str, says: str
) -> None:
    begun = time.monotonic()
    for ran in (
        applied(host, "broken", image, command, policy),
        host.cli("wait", "--for=condition=Ready", "co/broken", "--timeout", "5m"),
    ):
        assert ran.returncode == 1, ran.stdout
        assert says in ran.stderr
    assert time.monotonic() - begun < SOON


def test_a_job_that_is_done_is_ready_to_both(host: Pydockd, image: str) -> None:
    for command in (["/bin/true"], ["/bin/sh", "-c", "sleep 0.5"]):
        ran = applied(host, "job", image, command, "Never")
        assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "container/job ready")
        assert host.cli("wait", "--for=condition=Ready", "co/job").returncode == 0


def followed(host: Pydockd, name: str) -> subprocess.Popen[str]:
    """``logs -f``, once the first line has come."""
    command = [str(BIN / "pydock"), "-H", f"unix://{host.socket}", "logs", "-f", name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "one\n"
    return process


ENDS: dict[str, Callable[[Pydockd], object]] = {
    "deleted": lambda host: host.delete("container", "web"),
    "stopped": lambda host: host.cli("stop", "web"),
    "ended": lambda host: host.cli("logs", "web"),
}


@pytest.mark.parametrize("end", ENDS)
def test_following_a_container_ends_with_it(host: Pydockd, image: str, end: str) -> None:
    last = "sleep 1; echo two; exit 3" if end == "ended" else "trap 'echo two; exit 0' TERM; sleep 600 & wait"
    host.apply(container("web", image, command=["/bin/sh", "-c", f"echo one; {last}"], restartPolicy="Never"))
    host.wait_ready_container("web")
    process = followed(host, "web")
    ENDS[end](host)
    out, err = process.communicate(timeout=SOON)
    assert (process.returncode, out, err) == (0, "two\n", "")


def test_following_ends_with_a_word_when_the_daemon_stops(make_host: Callable[..., Pydockd], image: str) -> None:
    host = make_host().start()
    host.apply(container("web", image, command=["/bin/sh", "-c", "echo one; sleep 600"]))
    host.wait_ready_container("web")
    process = followed(host, "web")
    assert host.stop() == 0
    out, err = process.communicate(timeout=SOON)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("pydock: ")
    host.start()
