"""Logs as people read them: bounded, across runs and incarnations, through a kill of the daemon."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from reconciler.testing import wait
from reconciler.testing.daemon import Pydockd, container

LIMIT = 64 << 10
#: 20,000 numbered lines (about 1.1 MB of log) once there is a file /go, then nothing more
WRITES = "until [ -e /dev/shm/go ]; do sleep 0.05; done; i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"


def shell(script: str) -> list[str]:
    return ["sh", "-c", f"{script}; exec sleep 100000"]


def test_a_log_is_bounded_whole_at_its_end_and_counted(
    make_host: Callable[..., Pydockd], image: str, tmp_path: Path
) -> None:
    host = make_host()
    host.start(flags=("--log-max-size", "64Ki", "--log-max-files", "3"))
    host.apply(container("web", image, command=shell(WRITES)))
    pid = host.wait_ready_container("web")["pid"]
    host.kill()
    host.start(flags=("--log-max-size", "64Ki", "--log-max-files", "3"))
    Path(f"/proc/{pid}/root/dev/shm/go").touch()
    wait.until(lambda: host.cli("logs", "--tail", "1", "web").stdout == "line 19999\n", 20.0, "the last line")
    directory = next((host.root / "logs").iterdir())
    wait.until(lambda: used(directory) < 4 * LIMIT, 10.0, "the log to be cut")
    lines = host.cli("logs", "web").stdout.splitlines()
    first = int(lines[0].split()[1])
    assert lines == [f"line {number}" for number in range(first, 20000)]
    assert host.status("web")["pid"] == pid
    (row,) = [line.split() for line in host.cli("system", "df").stdout.splitlines() if line.startswith("Logs")]
    assert row[1:3] == ["1", "1"]
    assert "container/default/web" in host.cli("system", "df", "-v").stdout.partition("\nLogs:\n")[2]


def used(directory: Path) -> int:
    return sum({each.stat().st_ino: each.stat().st_size for each in directory.iterdir()}.values())


def says(host: Pydockd, words: str) -> bool:
    return words in host.cli("logs", "anew").stdout


def test_logs_of_the_runs_before(host: Pydockd, image: str) -> None:
    for words in ("first", "second"):
        host.apply(container("anew", image, command=shell(f"echo {words}")))
        wait.until(partial(says, host, words), 20.0, words)
    found = host.cli("logs", "anew")
    assert found.stdout == "first\nsecond\n"
    assert found.stderr.startswith("--- made anew 20")
    assert host.cli("logs", "--previous", "anew").stdout == "first\n"
    moment = host.cli("logs", "--timestamps", "anew").stdout.splitlines()[1].split()[0]
    assert host.cli("logs", "--since", moment, "anew").stdout == "second\n"


def test_a_container_writes_its_hosts_file(host: Pydockd, image: str) -> None:
    script = "echo 192.0.2.9 mine >> /etc/hosts && echo nameserver 192.0.2.1 > /etc/resolv.conf && tail -n 1 /etc/hosts"
    host.apply(container("writer", image, command=shell(script)))
    wait.until(lambda: host.cli("logs", "writer").stdout == "192.0.2.9 mine\n", 20.0, "the line it added")
