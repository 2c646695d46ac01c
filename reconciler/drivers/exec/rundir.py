"""The run-time files of one instance: all on tmpfs, so that a reboot leaves nothing.

```
BASE/exits/ID            the exit code, written by conmon when a run has ended
BASE/runtime/ID/         the OCI runtime's own state
BASE/runs/ID/            the bundle: config.json, files/, pid, conmon.pid, run.json, started, oom, conmon's sockets
```
``run.json`` is written when a create is complete: where it is missing, the create died half-way.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import msgspec

from reconciler import failpoints
from reconciler.drivers.exec import small_disk

CONFIG_FILE = "config.json"
PID_FILE = "pid"
CONMON_PID_FILE = "conmon.pid"
RUNTIME_LOG = "runtime.log"
CONMON_LOG = "conmon.log"
_RUN_FILE = "run.json"
_STARTED_FILE = "started"
_OOM_FILE = "oom"
_PIDS_FILE = "pids-limit"


class Record(msgspec.Struct, frozen=True):
    """The processes of a run, for certain: pids with their start times (``pids.start_time``)."""

    pid: int
    pid_start: int
    conmon: int
    conmon_start: int


class Exit(msgspec.Struct, frozen=True):
    """``at`` in Unix seconds; ``code`` as conmon writes it: 128 + n for signal n."""

    code: int
    at: float


class Run:
    """The files of one container's run."""

    def __init__(self, base: Path, id: str) -> None:
        self.id = id
        self.bundle = base / "runs" / id
        self.exit_file = base / "exits" / id
        self.state = base / "runtime" / id
        #: conmon reads commands from it
        self.control = self.bundle / "ctl"
        self.files = self.bundle / "files"
        self._exits = base / "exits"

    def exists(self) -> bool:
        return self.bundle.is_dir()

    def make(self) -> None:
        self.bundle.mkdir(mode=0o700)

    def write(self, name: str, data: bytes) -> None:
        """Appears whole or not at all."""
        temporary = self.bundle / f".{name}.new"
        temporary.write_bytes(data)
        failpoints.hit("exec.file.write.after")
        temporary.rename(self.bundle / name)

    def write_files(self, files: dict[str, str], writable: bool) -> dict[str, str]:
        """Writes each text outside the rootfs; target in the container → the host's file. Those that are ``writable``
        are on a small file system of their own (``take_files_off``)."""
        if writable:
            small_disk.mount(str(self.files))
        else:
            self.files.mkdir(mode=0o700)
        sources: dict[str, str] = {}
        for index, (target, text) in enumerate(files.items()):
            path = self.files / str(index)
            path.write_text(text)
            path.chmod(0o644)
            sources[target] = str(path)
        return sources

    def take_files_off(self) -> None:
        """The container has its files: the host needs to see them no longer."""
        small_disk.take_off(str(self.files))

    def record(self) -> Record | None:
        try:
            return msgspec.json.decode((self.bundle / _RUN_FILE).read_bytes(), type=Record)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def save(self, record: Record) -> None:
        self.write(_RUN_FILE, msgspec.json.encode(record))

    def note_pids_limit(self, pids: int) -> None:
        """The limit that the configuration does not say, because the runtime itself needs more."""
        (self.bundle / _PIDS_FILE).write_text(str(pids))

    def pids_limit(self) -> int:
        return self.pid(_PIDS_FILE)

    def mark_started(self) -> None:
        (self.bundle / _STARTED_FILE).touch()

    def started_at(self) -> float | None:
        with contextlib.suppress(FileNotFoundError):
            return (self.bundle / _STARTED_FILE).stat().st_mtime
        return None

    def exit(self) -> Exit | None:
        try:
            with open(self.exit_file, "rb") as file:
                return Exit(code=int(file.read(32)), at=os.fstat(file.fileno()).st_mtime)
        except (FileNotFoundError, ValueError):
            return None

    def out_of_memory(self) -> bool:
        return (self.bundle / _OOM_FILE).exists()

    def pid(self, name: str) -> int:
        """The number in one of the pid files; 0 when it is not there (yet)."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((self.bundle / name).read_bytes())
        return 0

    def remove(self) -> None:
        """Removes all of it; what is gone already is no error."""
        for path in (self.exit_file, *self._half_written()):
            path.unlink(missing_ok=True)
        failpoints.hit("exec.clear.exit.after")
        self.take_files_off()
        for directory in (self.state, self.bundle):
            if os.path.lexists(directory):
                shutil.rmtree(directory, ignore_errors=True)
                failpoints.hit("exec.clear.directory.after")
                # a second pass: conmon may have written in between
                if os.path.lexists(directory):
                    shutil.rmtree(directory)

    def _half_written(self) -> list[Path]:
        """Exit files under the temporary name that conmon gives them first: ID.XXXXXX. No glob: pathlib compiles and
        keeps a pattern for each id."""
        begun = f"{self.id}."
        return [self._exits / name for name in os.listdir(self._exits) if name.startswith(begun)]


def prepare(base: Path) -> None:
    """Makes the instance's directories, for root only."""
    for name in ("exits", "runtime", "runs"):
        (base / name).mkdir(mode=0o700, parents=True, exist_ok=True)


def ids(base: Path) -> set[str]:
    """Every id that has a file or directory here."""
    found: set[str] = set()
    for name in ("runs", "runtime", "exits"):
        with contextlib.suppress(FileNotFoundError):
            found.update(os.listdir(base / name))
    # without those that conmon is writing
    return {name for name in found if "." not in name}
