"""The daemon's life: begin, be ready, stop. What is done in which order, and what ends it."""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from reconciler import errors
from reconciler.control import notify, orphans
from reconciler.control.events import Events
from reconciler.control.housekeeping import Housekeeping
from reconciler.control.reconcile import Reconciler
from reconciler.engine.engine import Engine
from reconciler.engine.front import Front
from reconciler.engine.parts import Parts
from reconciler.ipc import EngineServer
from reconciler.settings import Settings

log = logging.getLogger("pydock")

#: running jobs and shutdown handlers together, seconds
_GRACE = 15.0
#: where the names of running instances are claimed; the host's, unlike everything else of an instance
INSTANCES = "/run/pydock.instances"
#: pauses before an API process that died is started again, seconds
_RESPAWN = (0.0, 0.2, 1.0, 5.0)
#: pause before another try when the host has no room for a thread, seconds
_SHORT_OF_THREADS = 1.0
#: seconds between two questions for a sign of life, and how many in a row may stay unanswered
_PULSE = 5.0
_MISSES = 4
#: an API process that lived so long counts as well, seconds
_SOUND = 60.0


class ApiProcess(Protocol):
    """The running API process (``reconciler.bootstrap.api``)."""

    control: socket.socket

    def wait_ready(self, timeout: float) -> None: ...

    def stop(self, grace: float) -> None: ...


class Sources(Protocol):
    """The sources of manifests, each with a thread of its own (``control.sources.manager``)."""

    def load_all(self) -> None: ...

    def start_all(self) -> None: ...

    def stop_all(self) -> None: ...

    def rescan_all(self) -> None: ...


class PidFile:
    """Holds a lock as long as the daemon lives, so that there are no two; ``wanted`` says what of, and what to do."""

    def __init__(self, path: str, wanted: str = "choose another --run-dir and --instance") -> None:
        self._path = path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        while True:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            self._lock(wanted)
            if self._is_there():
                break
            # its holder took it away between our opening and our lock
            os.close(self._fd)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        os.close(self._fd)

    def _lock(self, wanted: str) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._fd, 32, 0).decode(errors="replace").strip() or "?"
            os.close(self._fd)
            raise errors.Permanent(f"{self._path}: another pydockd (pid {holder}) runs here; {wanted}") from None

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except FileNotFoundError:
            return False


def claim_instance(name: str, directory: str = INSTANCES) -> PidFile:
    """Refuses a second daemon of the same name on this host: bridges, rules and cgroups bear it, and each would take
    the other's for remains."""
    return PidFile(os.path.join(directory, f"{name}.pid"), f"choose another --instance than {name}")


class Api:
    """Keeps an API process running on the listening sockets, and serves its jobs once ``open`` was called.

    ``listening`` are the paths of those sockets. A process that has ended is replaced, and so is one that gives no sign
    of life: stopped by a signal, or stuck."""

    def __init__(self, spawn: Callable[[], ApiProcess], listening: Sequence[str] = ()) -> None:
        self._spawn, self._listening = spawn, tuple(listening)
        self._front: Front | None = None
        self._server: EngineServer | None = None
        self._deaths = 0
        self._closing = threading.Event()
        self._born = time.monotonic()
        self._process = spawn()

    def open(self, front: Front) -> None:
        """From now on jobs are served; those that came before have waited in the socket."""
        self._front = front
        self._serve()
        threading.Thread(target=self._feel_pulse, name="api-pulse", daemon=True).start()

    def wait_ready(self, timeout: float) -> None:
        self._process.wait_ready(timeout)

    def close(self, grace: float) -> None:
        self._closing.set()
        # first the streams, so that the workers have nothing to wait for
        if self._server is not None:
            self._server.close(min(grace, 2.0))
        self._process.stop(grace)

    def _serve(self) -> None:
        assert self._front is not None
        self._server = EngineServer(
            self._process.control, self._front.serve, on_gone=self._gone, listening=self._listening
        )
        self._server.start()

    def _feel_pulse(self) -> None:
        """Counts what was asked and not answered, not time: our own process may have been stopped meanwhile."""
        missed, asked_at, server = 0, 0.0, self._server
        while not self._closing.wait(_PULSE):
            if self._server is not server:
                missed, server = 0, self._server
            elif server is not None and server.heard < asked_at:
                missed += 1
            else:
                missed = 0
            if missed >= _MISSES:
                log.warning("the API process gives no sign of life; replacing it")
                missed = 0
                self._process.stop(0.0)
            elif server is not None:
                asked_at = time.monotonic()
                server.beat()

    def _gone(self) -> None:
        """The process died: another takes its place, on the same sockets."""
        if self._closing.is_set():
            return
        log.warning("the API process ended; starting another")
        if time.monotonic() - self._born > _SOUND:
            self._deaths = 0
        while not self._closing.is_set():
            try:
                threading.Thread(target=self._respawn, name="api-respawn", daemon=True).start()
                return
            except RuntimeError as error:
                log.error("cannot start the API process yet: %s", error)
                self._closing.wait(_SHORT_OF_THREADS)

    def _respawn(self) -> None:
        if self._closing.wait(_RESPAWN[min(self._deaths, len(_RESPAWN) - 1)]):
            return
        self._deaths += 1
        if self._server is not None:
            self._server.close(0.0)
        self._process.stop(0.0)
        self._born = time.monotonic()
        try:
            self._process = self._spawn()
            if self._closing.is_set():
                self._process.stop(0.0)
                return
            self._serve()
        except (OSError, RuntimeError, errors.PydockError) as error:
            log.error("cannot start the API process: %s", error)
            self._gone()


class Daemon:
    """Everything that runs, put together by the composition root."""

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        engine: Engine,
        reconciler: Reconciler,
        events: Events,
        housekeeping: Housekeeping,
        sources: Sources,
        api: Api,
    ) -> None:
        self._settings, self._parts, self._engine = settings, parts, engine
        self._reconciler, self._events, self._housekeeping = reconciler, events, housekeeping
        self._sources, self._api = sources, api

    def begin(self) -> None:
        """Adopts what runs, reads the manifests, makes the first plan, answers requests; then tells systemd and the
        log."""
        with self._parts.store.transaction(durable=False) as session:
            for record in session.journal.interrupt_running(time.time()):
                log.warning("the last daemon ended during %s of %s: looking anew", record.name, record.key)
        orphans.sweep(self._parts)
        orphans.sweep_graph(self._parts)
        self._sources.load_all()
        self._events.start()
        self._reconciler.start()
        plan = self._reconciler.plan_all()
        with self._parts.store.snapshot() as session:
            keys = [desired.key for desired in session.objects.find()]
        self._reconciler.look(keys, closely=True)
        self._sources.start_all()
        self._housekeeping.start()
        self._parts.ready.set()
        self._api.open(Front(self._engine))
        self._api.wait_ready(30.0)
        notify.notify("READY=1")
        version = self._parts.version
        log.info(
            "pydockd %s (%s) ready: instance %s, exec driver %s, graph driver %s, %d objects, %d steps to do",
            version["version"], version["commit"] or "no commit", self._settings.instance, version["drivers"]["exec"],
            version["drivers"]["graph"], len(keys), len(plan.steps),
        )  # fmt: skip

    def reload(self) -> None:
        """SIGHUP: reads the manifests again, every file."""
        log.info("reloading: looking at every manifest again")
        self._sources.rescan_all()

    def end(self) -> None:
        """No new jobs; what runs has 15 seconds together; containers stay as they are."""
        deadline = time.monotonic() + _GRACE
        notify.notify("STOPPING=1")
        self._sources.stop_all()
        self._housekeeping.close()
        self._reconciler.close()
        # what takes long gives up now, while the API process ends
        self._engine.close()
        self._api.close(max(1.0, min(5.0, deadline - time.monotonic())))
        ended = self._engine.shutdown(deadline) and self._reconciler.wait_ended(deadline)
        self._events.close(max(0.0, min(5.0, deadline - time.monotonic())))
        if not ended:
            # the store stays open for those who still work with it: the end of the process closes it
            log.warning("some jobs did not end in time: they are taken up again after the next start")
            return
        self._housekeeping.wait_ended(deadline)
        self._parts.network.close()
        self._parts.store.close()


def wait_for_end(reload: Callable[[], None], debug: bool) -> int:
    """Waits for SIGTERM or SIGINT and returns which; SIGHUP calls ``reload``; SIGQUIT dumps the stacks of all threads
    in debug mode.

    Signals must have been blocked by ``block_signals`` before any thread started.
    """
    while True:
        number = signal.sigwait(HANDLED)
        if number == signal.SIGHUP:
            reload()
        elif number == signal.SIGQUIT:
            if debug:
                faulthandler.dump_traceback(all_threads=True)
        else:
            return int(number)


HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def block_signals() -> None:
    """Blocks what ``wait_for_end`` waits for, in this thread and those it starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
