"""gunicorn, set up as pydock needs it: one worker, sockets that are not ours, no files, no signals that change it."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any

from gunicorn import arbiter
from gunicorn.app.base import BaseApplication

from reconciler.api.server import log, worker

#: threads that answer; open connections, the idle ones too
THREADS = 96
CONNECTIONS = 2048
#: seconds that requests get to end when the process stops
_GRACE = 5
#: seconds after which a worker whose loop hangs is replaced, and between two looks at that
_HANG_SECONDS = 60
_LOOK_SECONDS = 20.0
_IGNORED = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH)


class Context:
    """What ties the worker to the process: ``control``, whose end of file is the controller's end; ``stop``,
    called from a signal handler when streams are to end; ``stopping``, a descriptor that is readable then; and the
    descriptor on which readiness is told."""

    def __init__(self, control: socket.socket, ready_fd: int, stop: Callable[[], None], stopping: int) -> None:
        self.control = control
        self.stop = stop
        self.stopping = stopping
        self._ready_fd = ready_fd

    def announce(self) -> None:
        """Says that requests are answered. The one who asked may have gone."""
        try:
            os.write(self._ready_fd, b"\n")
        except OSError:
            return


class Application(BaseApplication):  # type: ignore[misc]
    """Serves ``wsgi`` on the listening sockets ``listeners`` (descriptors), as ``uid`` and ``gid``, which it must
    be already."""

    def __init__(self, wsgi: Any, context: Context, listeners: Sequence[int], uid: int, gid: int) -> None:
        self.context = context
        self._wsgi = wsgi
        self._settings = _settings(listeners, uid, gid)
        super().__init__(prog="pydock-api")

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self._wsgi

    def run(self) -> None:
        """Serves until SIGTERM. What is in memory now is packed, and set aside from garbage collection: the worker
        shares it."""
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        self.wsgi()
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        gc.freeze()
        Arbiter(self).run()


class Arbiter(arbiter.Arbiter):  # type: ignore[misc]
    """gunicorn's parent process: starts the worker again when it dies, wakes up rarely."""

    SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

    def start(self) -> None:
        super().start()
        # The sockets are the controller's: so marked, their files are not removed at the end.
        self.systemd = True

    def wait_for_signals(self, timeout: float = _LOOK_SECONDS) -> Any:
        return super().wait_for_signals(_LOOK_SECONDS)


def _settings(listeners: Sequence[int], uid: int, gid: int) -> dict[str, Any]:
    return {
        "bind": [f"fd://{fd}" for fd in listeners],
        "user": uid,
        "group": gid,
        "worker_class": worker.Worker,
        "logger_class": log.Log,
        "workers": 1,
        "threads": THREADS,
        "worker_connections": CONNECTIONS,
        "keepalive": 60,
        "timeout": _HANG_SECONDS,
        "graceful_timeout": _GRACE,
        "control_socket_disable": True,
        "http_parser": "python",
        "http_protocols": "h1",
        "http2_cleartext": "off",
        "limit_request_line": 8190,
        "limit_request_fields": 64,
        "header_map": "refuse",
        # No proxy stands before us: what it would say is not believed.
        "forwarder_headers": "",
        "forwarded_allow_ips": "",
        "secure_scheme_headers": {},
        "sendfile": False,
    }
