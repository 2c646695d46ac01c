"""The composition root of the API process.

It starts as root, because only root may be able to read the interpreter; imports and tries everything it will need; and
then gives up root for good, before it looks at a single byte from outside.
"""

from __future__ import annotations

import argparse

# Imported here although others import them late: after the privileges are gone no file can be read.
import encodings.idna  # noqa: F401
import io
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

from reconciler import manifest
from reconciler.api import streams
from reconciler.api.fronts import table
from reconciler.api.server import application, privileges
from reconciler.bootstrap import logs
from reconciler.ipc import EngineClient
from reconciler.requests.declaration import BASE


def main(argv: Sequence[str] | None = None) -> None:
    """Serves until SIGTERM, or until the controller goes. ``argv`` is what ``bootstrap.api.command`` makes."""
    options = _parse(argv)
    # The controller waits for signals with all of them blocked, and a blocked signal stays so in its children.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    level = logging.DEBUG if options.debug else logging.WARNING
    logs.to_stderr(level, "%(asctime)s %(levelname)s pydock-api: %(message)s")
    control = socket.socket(fileno=options.control_fd)
    control.set_inheritable(False)
    open_streams = streams.Streams()
    app = table.make_app(EngineClient(control), open_streams)
    context = application.Context(control, options.ready_fd, open_streams.stop, open_streams.fileno())
    server = application.Application(app, context, options.listen_fd, options.uid, options.gid)
    rehearse(app)
    privileges.raise_open_files()
    privileges.confine(options.uid, options.gid)
    try:
        privileges.die_with_parent(options.parent, signal.SIGTERM)
    except ProcessLookupError:
        sys.exit("the controller ended before the API had started")
    server.run()


def rehearse(app: Any) -> None:
    """Lets requests that need no engine run once, so that whatever is imported or compiled late is there, and shared by
    the processes that are forked from this one."""
    manifest.parse_yaml_body(b"a: [1, 'x']\n")
    for method, path, media_type, data in (
        ("GET", "/livez", "", b""),
        ("GET", "/nowhere", "", b""),
        ("POST", f"{BASE}/images", "application/json", b'{"metadata": {"name": 1'),
        ("PATCH", f"{BASE}/images/x?fieldManager=-", "application/apply-patch+yaml", b"metadata: {name: y}"),
    ):
        _ask(app, method, path, media_type, data)


def _ask(app: Any, method: str, target: str, media_type: str, data: bytes) -> None:
    path, _, query = target.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": media_type,
        "CONTENT_LENGTH": str(len(data)),
        "HTTP_HOST": "localhost",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(data),
        "wsgi.errors": sys.stderr,
    }
    b"".join(app(environ, lambda *_: None))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pydock-api", description="The API process of pydockd, which starts it.")
    parser.add_argument("--control-fd", type=int, required=True, help="the engine socket")
    parser.add_argument("--ready-fd", type=int, required=True, help="a pipe, told when requests are answered")
    parser.add_argument("--listen-fd", type=int, required=True, action="append", help="a listening socket; several")
    parser.add_argument("--parent", type=int, required=True, help="the process id of pydockd")
    parser.add_argument("--uid", type=int, required=True)
    parser.add_argument("--gid", type=int, required=True)
    parser.add_argument("--debug", action="store_true")
    options = parser.parse_args(argv)
    for fd in (options.control_fd, options.ready_fd, *options.listen_fd):
        os.fstat(fd)
    return options
