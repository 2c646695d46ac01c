"""Helpers that hang, work without end, or fill more than they may: each is ended from outside, with words."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from reconciler import errors, helper
from reconciler.drivers.graph import extraction, helper_process, syscalls
from reconciler.testing import graph_tars as tars
from reconciler.testing import images

#: of the helper as it is started
pytestmark = pytest.mark.installed

SHORT = extraction.Limits(bytes=1 << 20, entries=10, patience=helper_process.Patience(quiet=1.0, busy=1.0))
ARCHIVE = tars.archive([tars.Member(b"f", b"data")])
#: waits until it is ended
_WAITS = "import signal; signal.pause()"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[Callable[[str], None]]:
    """Puts a program in the place of the helper: its target is ``TARGET``. None that was started may be left."""
    monkeypatch.setattr(helper_process, "_LOOK", 0.05)
    marker = f"helper-of-{tmp_path.name}"

    def instead(program: str) -> None:
        code = f"import json, os, sys\nREQUEST = json.load(sys.stdin)\nTARGET = REQUEST['target']\n{program}"
        monkeypatch.setattr(helper, "command", lambda name: [sys.executable, "-I", "-c", code, marker])

    yield instead
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and marker in command_line(pid)]


def command_line(pid: str) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def unpack(tmp_path: pathlib.Path, limits: extraction.Limits = SHORT) -> extraction.Result | None:
    blob, target = tmp_path / "blob", tmp_path / "target"
    blob.write_bytes(ARCHIVE)
    target.mkdir()
    layer = extraction.Layer(lambda: blob.open("rb", buffering=0), str(target), str(tmp_path), [],
                             images.digest(ARCHIVE), overlay=True, lowest=True)  # fmt: skip
    return extraction.run(layer, limits)


@pytest.mark.parametrize(
    "program",
    [
        "os.kill(os.getpid(), 19)",
        f"os.mkfifo(TARGET + '/pipe'); open(TARGET + '/pipe').read(); {_WAITS}",
        f"os.write(1, b'{{'); {_WAITS}",
        f"os.close(1); os.close(2); {_WAITS}",
    ],
    ids=["stopped", "a FIFO", "half an answer", "an answer, and no end"],
)
def test_one_that_does_nothing(started: Callable[[str], None], tmp_path: pathlib.Path, program: str) -> None:
    started(program)
    with pytest.raises(errors.Temporary, match="did nothing for 1 seconds"):
        unpack(tmp_path)


def test_one_that_works_to_no_effect(started: Callable[[str], None], tmp_path: pathlib.Path) -> None:
    """In a file system that nobody else fills: that would count as its effect."""
    started("while True: pass")
    syscalls.mount("none", str(tmp_path), "tmpfs", 0, "size=8m")
    try:
        with pytest.raises(errors.Permanent, match="processor time to no effect"):
            unpack(tmp_path)
    finally:
        syscalls.umount(str(tmp_path), syscalls.MNT_DETACH)


def test_one_that_works_for_longer_than_its_quota_needs(started: Callable[[str], None], tmp_path: pathlib.Path) -> None:
    started("import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 3))\nwhile True: os.getppid()")
    with pytest.raises(errors.Permanent, match="more processor time than its quota"):
        unpack(tmp_path, SHORT._replace(patience=helper_process.Patience()))


@pytest.mark.parametrize(
    "program",
    [
        "with open(TARGET + '/f', 'wb') as file: [file.write(bytes(1 << 20)) for _ in range(4)]",
        "with open(TARGET + '/f', 'wb') as file: os.posix_fallocate(file.fileno(), 0, 4 << 20)",
        "[open(f'{TARGET}/{number}', 'wb').close() for number in range(2000)]",
        "[os.mkdir('/'.join([TARGET, *['d'] * depth])) for depth in range(1, 1500)]",
    ],
    ids=["data", "room", "files", "directories, deep"],
)
@pytest.mark.parametrize("then", [_WAITS, "print('{}')"], ids=["goes on", "ends"])
def test_one_that_fills_more_than_it_may(
    started: Callable[[str], None], tmp_path: pathlib.Path, program: str, then: str
) -> None:
    """Whatever it says, and however it goes about it."""
    started(f"{program}\n{then}")
    syscalls.mount("none", str(tmp_path), "tmpfs", 0, "size=64m,nr_inodes=100000")
    try:
        with pytest.raises(errors.Permanent, match=r"it filled \d+ bytes with \d+ files: more than the"):
            unpack(tmp_path)
    finally:
        syscalls.umount(str(tmp_path), syscalls.MNT_DETACH)


def test_what_others_fill_is_not_laid_to_its_charge(started: Callable[[str], None], tmp_path: pathlib.Path) -> None:
    answer = {"diff_id": images.digest(ARCHIVE), "size": 4, "opaque": [], "rooted": True, "implied": []}
    started(f"open(TARGET + '/../other', 'wb').write(bytes(8 << 20)); print({json.dumps(answer)!r})")
    syscalls.mount("none", str(tmp_path), "tmpfs", 0, "size=64m")
    try:
        found = unpack(tmp_path)
        assert found is not None
        assert found.size == 4
    finally:
        syscalls.umount(str(tmp_path), syscalls.MNT_DETACH)


@pytest.mark.parametrize(
    "lie",
    [{"opaque": ["2e2e2f78"]}, {"implied": [["2e2e2f2e2e2f657463", True]]}, {"opaque": ["612f2e2e2f62"]}, {"size": -1},
     {"size": "x"}, {"opaque": 3}, {"implied": [["61"]]}, {"rooted": None, "opaque": ["61002f"]}],
)  # fmt: skip
def test_an_answer_that_leads_out_of_the_layer(
    started: Callable[[str], None], tmp_path: pathlib.Path, lie: dict[str, object]
) -> None:
    """It would have the daemon change directories elsewhere."""
    answer = {"diff_id": images.digest(ARCHIVE), "size": 4, "opaque": [], "rooted": True, "implied": [], **lie}
    started(f"print({json.dumps(answer)!r})")
    with pytest.raises(errors.Permanent, match="answer makes no sense"):
        unpack(tmp_path)


def test_an_endless_answer(started: Callable[[str], None], tmp_path: pathlib.Path,
                           monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(helper_process, "_ANSWER", 1 << 16)
    started("while True: os.write(1, bytes(4096))")
    with pytest.raises(errors.PydockError, match="cannot be unpacked"):
        unpack(tmp_path)


_BEHIND_WALLS = """
import os, signal, sys
from reconciler.drivers.graph import confine
confine.leave_host()
confine.enter(confine.view(sys.argv[1], read_only=False), seconds=20, file_size=0)
os.write(1, b"behind\\n")
sys.stdin.readline()
for pid in map(int, sys.argv[2:]):
    try:
        os.kill(pid, signal.SIGKILL)
        os.write(1, b"killed it")
    except PermissionError:
        os.write(1, b"may not")
os._exit(0)
"""


def test_helpers_cannot_signal_one_another(tmp_path: pathlib.Path) -> None:
    def start(*others: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", _BEHIND_WALLS, str(tmp_path), *map(str, others)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"behind\n"
        return process

    with start() as one, start(one.pid) as other:
        users = [pathlib.Path(f"/proc/{each.pid}/status").read_text().split("Uid:")[1].split()[0]
                 for each in (one, other)]  # fmt: skip
        assert users[0] != users[1]
        assert other.communicate(b"\n")[0] == b"may not"
        assert one.poll() is None
        one.communicate(b"\n")
        assert one.returncode == 0


def test_a_helper_that_is_ended_leaves_no_thread_or_descriptor(
    started: Callable[[str], None], tmp_path: pathlib.Path
) -> None:
    started(_WAITS)
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    with pytest.raises(errors.Temporary):
        unpack(tmp_path)
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
