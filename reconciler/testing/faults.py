"""Tools for tests that kill a daemon: which failpoints there are, what of a container is there, what is left over.

``Subject`` is one container seen from outside: its processes by a mark on their command line, its published port.
``Remains`` compares what an instance has in the kernel and on the disk with what it had before.
"""

from __future__ import annotations

import ast
import contextlib
import http.client
import os
import re
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from reconciler.engine import table
from reconciler.kinds.container import spec
from reconciler.testing import leaks, wait
from reconciler.testing.daemon import Pydockd, condition, container

PRODUCT = Path(__file__).parent.parent
_PLURALS = ("containers", "images", "networks")


def failpoints() -> list[str]:
    """Every failpoint in the source of the product, read without running it. In a name that is made up of parts, a part
    stands for all that it may be: the planner's actions, or the aspects of a container that can be
    changed or repaired."""
    found = {name for file in sorted(PRODUCT.rglob("*.py")) for name in _in_file(file)}
    return sorted(found)


def _in_file(file: Path) -> Iterator[str]:
    if file.is_relative_to(PRODUCT / "testing"):
        return
    text = file.read_text()
    for node in ast.walk(ast.parse(text)) if "failpoints.hit(" in text else ():
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoints.hit":
            yield from _names(node.args[0])


def _names(argument: ast.expr) -> list[str]:
    if isinstance(argument, ast.Constant):
        return [str(argument.value)]
    assert isinstance(argument, ast.JoinedStr), ast.unparse(argument)
    pattern = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in argument.values)
    (part,) = (ast.unparse(part.value) for part in argument.values if isinstance(part, ast.FormattedValue))
    if part == "step.action":
        return [pattern.format(action) for action in table.steps()]
    assert part == "aspect.name", f"{pattern}: what may {part} be?"
    repairs = pattern.startswith("repair.")
    aspects = [each for each in spec.ASPECTS if each.apply is not None and (each.drifted is not None or not repairs)]
    return [pattern.format(aspect.name) for aspect in aspects]


class Subject:
    """A container that answers ``hello`` on a published port with what it is asked, from one process."""

    def __init__(self, host: Pydockd, image: str, name: str, port: int) -> None:
        self.host, self.image, self.name, self.port = host, image, name, port

    def manifest(self, **spec: Any) -> dict[str, Any]:
        """The mark is an argument of the process that has no effect."""
        spec.setdefault("command", ["nc", "-ll", "-p", "7", "-e", "sh", "-c", "cat", self.mark])
        spec.setdefault("ports", [{"containerPort": 7, "hostPort": self.port}])
        spec.setdefault("resources", {"limits": {"memory": "64Mi"}})
        spec.setdefault("terminationGracePeriodSeconds", 0)
        return container(self.name, self.image, **spec)

    @property
    def mark(self) -> str:
        """What its processes have on their command lines, and no others."""
        return f"{self.host.instance}-{self.name}-mark"

    def processes(self) -> list[int]:
        """The container's first processes: those with the mark whose parent has not got it."""
        marked = {pid for pid in pids() if self.mark.encode() in arguments(pid)}
        return sorted(pid for pid in marked if parent(pid) not in marked)

    def runs_once(self) -> bool:
        """It is Ready with exactly one process, the one that its status tells, and answers on its port."""
        status = self.host.status(self.name)
        return condition(status, "Ready") == "True" and self.processes() == [status.get("pid")] and answers(self.port)

    def is_gone(self) -> bool:
        return self.host.get("Container", self.name) is None and not self.processes()


def pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def arguments(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def parent(pid: int) -> int:
    """0 when the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def family(pid: int) -> set[int]:
    """A process and all below it."""
    parents = {each: parent(each) for each in pids()}
    found = {pid}
    while new := {each for each, above in parents.items() if above in found} - found:
        found |= new
    return found


def api_process(host: Pydockd) -> int:
    """The API's first process: the daemon's child that runs gunicorn; 0 while there is none."""
    assert host.process is not None
    below = family(host.process.pid) - {host.process.pid}
    found = [pid for pid in below if parent(pid) == host.process.pid and b"reconciler.wsgi" in arguments(pid)]
    return min(found, default=0)


def acknowledge(host: Pydockd) -> None:
    """Lets the sources remove as much as they like; does nothing while nobody answers."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        status, answer = host.request("GET", "/apis/pydock.dev/v1/sources")
        for source in answer["items"] if status == 200 else ():
            if source["held"]:
                body = {"name": source["name"], "digest": source["digest"]}
                host.request("POST", "/apis/pydock.dev/v1/sources/ack", body)


def emptied(host: Pydockd) -> bool:
    """Whether no object is left."""
    acknowledge(host)
    return not any(host.api("GET", f"/apis/pydock.dev/v1/{kind}")["items"] for kind in _PLURALS)


def answers(port: int) -> bool:
    """Whether an echo comes back from the published port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
        connection.settimeout(0.5)
        connection.sendall(b"hello\n")
        return connection.recv(16) == b"hello\n"
    return False


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def story(host: Pydockd, lines: int = 60) -> str:
    """The end of the daemon's log, without the debugging lines."""
    told = (line for line in host.tail(100_000).splitlines() if " DEBUG " not in line)
    return "\n".join(list(told)[-lines:])


def until(host: Pydockd, predicate: Callable[[], object], timeout: float, what: str) -> None:
    """``wait.until`` that tells what the daemon said."""
    try:
        wait.until(predicate, timeout, what)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{story(host)}") from None


class Remains:
    """What the instance has beyond what it had when this object was made. The daemon's own processes do not count: it
    may be another one by then."""

    def __init__(self, host: Pydockd) -> None:
        self._host = host
        self._before = self._look()

    def found(self) -> list[str]:
        return leaks.compare(self._before, self._look())

    def _look(self) -> leaks.Footprint:
        seen = leaks.snapshot(self._host.instance, [self._host.root, self._host.run])
        alive = self._host.process is not None and self._host.process.poll() is None
        own = family(self._host.process.pid) if alive and self._host.process is not None else set()
        return leaks.Footprint({**seen.facets, "processes": list(_of_others(seen.facets["processes"], own))})

    def wait_none(self, timeout: float = 10.0) -> None:
        """Waits until nothing is left over; the failure tells what is."""
        try:
            wait.until(lambda: not self.found(), timeout, "nothing to be left over")
        except AssertionError:
            raise AssertionError("\n".join(["left over:", *self.found(), story(self._host)])) from None


def _of_others(lines: Iterable[str], own: set[int]) -> Iterator[str]:
    for line in lines:
        number = re.match(r"(\d+)", line)
        if number is None or int(number[1]) not in own:
            yield line
