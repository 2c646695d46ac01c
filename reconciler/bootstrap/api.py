"""Starting the API process, seen from the controller."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

from reconciler import errors

_log = logging.getLogger(__name__)

#: what the API process may know of the controller's environment
_ENVIRONMENT = ("LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")


class ApiProcess:
    """A running API process. ``control`` is the controller's end of its engine socket, for ``ipc.EngineServer``,
    which closes it; ``pid`` is gunicorn's arbiter, whose one child answers requests."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        control: socket.socket,
        ready_fd: int,
        on_exit: Callable[[int], None] | None,
    ) -> None:
        self.pid = process.pid
        self.control = control
        self._process = process
        self._ready_fd = ready_fd
        self._answers = False
        self._settled = threading.Event()
        self._ended = threading.Event()
        self._on_exit = on_exit
        threading.Thread(target=self._follow, name="api-life", daemon=True).start()

    @property
    def status(self) -> int | None:
        """None while it runs; then its exit status, or minus the signal that ended it."""
        return self._process.returncode if self._ended.is_set() else None

    def wait_ready(self, timeout: float) -> None:
        """Returns once requests are answered. Raises ``Temporary`` after ``timeout`` seconds, ``Permanent`` when
        it ended."""
        if not self._settled.wait(timeout):
            raise errors.Temporary(f"the API process did not get ready within {timeout:g} s")
        if not self._answers:
            self._ended.wait(timeout)
            raise errors.Permanent(f"the API process ended as it started, with status {self.status}: its log tells why")

    def wait_ended(self, timeout: float | None = None) -> bool:
        """Waits for its end, at most ``timeout`` seconds (None: without limit), and returns whether it has ended."""
        return self._ended.wait(timeout)

    def stop(self, grace: float = 6.0) -> None:
        """Sends SIGTERM, upon which streams end and requests are still answered, and SIGKILL after ``grace`` seconds.
        Returns when the process is gone."""
        self._signal(signal.SIGTERM)
        if not self._ended.wait(grace):
            _log.log(logging.WARNING if grace else logging.DEBUG, "killing the API process after %g s", grace)
            self._signal(signal.SIGKILL)
            self._ended.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _follow(self) -> None:
        """Follows the process in a thread of its own: until it is ready, then until it has ended."""
        self._answers = bool(os.read(self._ready_fd, 1))
        os.close(self._ready_fd)
        self._settled.set()
        self._process.wait()
        self._ended.set()
        if self._on_exit is not None:
            self._on_exit(self._process.returncode)


def spawn_api(
    listeners: Sequence[socket.socket],
    uid: int,
    gid: int,
    *,
    debug: bool = False,
    on_exit: Callable[[int], None] | None = None,
) -> ApiProcess:
    """Starts the API process on ``listeners``, bound and listening stream sockets that stay the caller's.

    It becomes ``uid`` and ``gid``, and ends with this process. ``on_exit(status)`` is called from a thread of its own
    when it has ended, for any reason. Raises ``OSError``.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ready, told = os.pipe2(os.O_CLOEXEC)
    fds = [listener.fileno() for listener in listeners]
    arguments = command(theirs.fileno(), told, fds, uid, gid, debug)
    try:
        process = _LastingThread(lambda: _popen(arguments, [theirs.fileno(), told, *fds])).begin()
    except BaseException:
        ours.close()
        os.close(ready)
        raise
    finally:
        theirs.close()
        os.close(told)
    return ApiProcess(process, ours, ready, on_exit)


class _LastingThread:
    """Starts a process in a thread that stays until the process has ended: it would die with the thread that
    started it."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._start = start
        self._begun = threading.Event()
        self._outcome: subprocess.Popen[bytes] | BaseException | None = None

    def begin(self) -> subprocess.Popen[bytes]:
        """Returns the process; raises what starting it raised."""
        threading.Thread(target=self._live, name="api-process", daemon=True).start()
        self._begun.wait()
        if isinstance(self._outcome, subprocess.Popen):
            return self._outcome
        assert self._outcome is not None
        raise self._outcome

    def _live(self) -> None:
        try:
            self._outcome = process = self._start()
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            self._outcome = error
            return
        finally:
            self._begun.set()
        process.wait()


def command(
    control_fd: int, ready_fd: int, listen_fds: Sequence[int], uid: int, gid: int, debug: bool = False
) -> list[str]:
    """The command line of the API process."""
    listening = [f"--listen-fd={fd}" for fd in listen_fds]
    options = [f"--control-fd={control_fd}", f"--ready-fd={ready_fd}", *listening, f"--parent={os.getpid()}"]
    who = [f"--uid={uid}", f"--gid={gid}", *(["--debug"] if debug else [])]
    return [sys.executable, "-s", "-P", "-m", "reconciler.wsgi", *options, *who]


def environment() -> dict[str, str]:
    """What the API process has in its environment."""
    known = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # One arena of memory: each thread would get its own otherwise.
    return known | {"PATH": os.defpath, "MALLOC_ARENA_MAX": "1"}


def _popen(arguments: list[str], fds: Sequence[int]) -> subprocess.Popen[bytes]:
    """It gets a session of its own, so that Ctrl-C at a terminal does not reach it: the controller decides when it
    ends."""
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        env=environment(),
        pass_fds=fds,
        start_new_session=True,
        cwd="/",
    )
