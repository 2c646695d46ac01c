"""gunicorn's messages, as this process' own log."""

from __future__ import annotations

import logging
import sys
from typing import Any

_log = logging.getLogger("pydock.api")


class Log:
    """What gunicorn expects of a logger. Its notices of a server's life are details here; there is no access log."""

    access_log_enabled = False

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg

    def debug(self, message: str, *args: Any, **_: Any) -> None:
        # The two hundred lines of gunicorn's settings, which nobody but us sets, tell nothing.
        if not message.startswith("Current configuration"):
            _log.debug(message, *args)

    info = debug

    def warning(self, message: str, *args: Any, **_: Any) -> None:
        _log.warning(message, *args)

    def error(self, message: str, *args: Any, **more: Any) -> None:
        _log.error(message, *args, exc_info=more.get("exc_info"))

    critical = error

    def exception(self, message: str, *args: Any, **_: Any) -> None:
        """A client that stalls past its time is nothing to shout about."""
        stalled = isinstance(sys.exc_info()[1], (TimeoutError, BlockingIOError))
        _log.log(logging.DEBUG if stalled else logging.ERROR, message, *args, exc_info=True)

    def log(self, level: int, message: str, *args: Any, **_: Any) -> None:
        _log.log(level, message, *args)

    def access(self, *_: Any) -> None:
        """Nothing: who asked for what is in the journal of jobs."""

    def reopen_files(self) -> None:
        """Nothing: the log goes to the standard error that was inherited."""

    def close_on_exec(self) -> None:
        """Nothing, as above."""
