"""The command ``pydockd``: settings, checks, and the controller's composition root.

Exit status: 0 after SIGTERM or SIGINT, 1 when it cannot start or go on, 2 for a wrong command line or configuration.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence

from reconciler import errors, settings
from reconciler.bootstrap import logs
from reconciler.control import life, listeners, memory, notify
from reconciler.model.visible import visible

log = logging.getLogger("pydock")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the daemon until it is told to stop; returns the exit status."""
    try:
        config, print_only = settings.parse(sys.argv[1:] if argv is None else argv, os.environ)
    except errors.Invalid as error:
        return _complain(error, 2)
    if print_only:
        sys.stdout.write(settings.to_toml(config))
        return 0
    if os.geteuid() != 0:
        return _complain(
            errors.Permanent("must run as root: it mounts, makes network namespaces and writes firewall rules"), 1
        )
    _log_to_stderr(config.debug)
    life.block_signals()
    memory.keep_to_one_arena()
    try:
        return _run(config)
    except errors.PydockError as error:
        return _complain(error, 1)
    except OSError as error:
        return _complain(errors.Permanent(f"cannot start: {error}"), 1)


def _run(config: settings.Settings) -> int:
    os.makedirs(config.root, mode=0o700, exist_ok=True)
    os.chmod(config.root, 0o700)
    listeners.make_directory(config.run_dir)
    with contextlib.ExitStack() as undo:
        undo.callback(life.claim_instance(config.instance).remove)
        # the usual file always claims the run directory, even if another pidfile is asked for
        for path in dict.fromkeys((f"{config.run_dir}/{settings.PID_FILE}", config.pidfile)):
            undo.callback(life.PidFile(path).remove)
        sockets = listeners.open_all(config.hosts, config.group, os.environ)
        undo.callback(listeners.remove_paths, config.hosts)
        undo.callback(listeners.close_all, sockets)
        # the API process loads meanwhile; requests wait in its socket until we serve them
        from reconciler.bootstrap import controller

        api = controller.start_api(config, sockets)
        undo.callback(api.close, 2.0)
        daemon = controller.build(config, api)
        undo.callback(daemon.end)
        daemon.begin()
        number = life.wait_for_end(daemon.reload, config.debug)
        log.info("%s: stopping; containers go on", signal.Signals(number).name)
    log.info("stopped")
    _leave_at_once(0)
    return 0


def _leave_at_once(status: int) -> None:
    """Ends the process at once if threads are left that would keep it alive, such as a pull from a registry that does
    not answer."""
    others = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
    if any(not thread.daemon for thread in others):
        logging.shutdown()
        os._exit(status)


def _log_to_stderr(debug: bool) -> None:
    logs.to_stderr(logging.DEBUG if debug else logging.INFO, "%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("watchfiles", "sqlalchemy", "alembic", "pyroute2", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _complain(error: errors.PydockError, status: int) -> int:
    sys.stderr.write("".join(f"{visible(line)}\n" for line in f"pydockd: {error.message}".splitlines()))
    notify.notify(f"STATUS={error.message.splitlines()[0] if error.message else 'failed'}")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
