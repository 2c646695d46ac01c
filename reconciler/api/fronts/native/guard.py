"""What every request must be, whatever it asks for."""

from __future__ import annotations

import re
from typing import Any

import falcon

from reconciler.api.problems import Refused

#: What no page of the web can make a browser say to us: a bare word, a loopback address, or below ``.localhost``.
_OWN_HOST = re.compile(
    r"(?:[A-Za-z0-9_%-]*|(?:[A-Za-z0-9-]+\.)+localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(?::\d{1,5})?\Z"
)
#: longest path that is routed, in characters
_PATH_LIMIT = 2048


def allows_host(host: str) -> bool:
    """Whether ``Host`` names this machine. A browser tricked by DNS (rebinding) sends the name of somebody's domain."""
    return _OWN_HOST.match(host) is not None


class Guard:
    """Falcon middleware."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        env = req.env
        if "HTTP_ORIGIN" in env:
            raise Refused(403, "requests from web pages are not allowed: there must be no Origin header")
        _check_host(env)
        if "%2f" in env.get("RAW_URI", "").partition("?")[0].lower():
            raise Refused(400, "a path with an encoded slash (%2F) is not served: no name has a slash")
        if len(req.path) > _PATH_LIMIT:
            raise Refused(404, "no such path")
        _check_accept(env.get("HTTP_ACCEPT", ""))
        if env.get("HTTP_CONTENT_ENCODING"):
            raise Refused(415, "encoded bodies are not supported: send it without Content-Encoding")


def _check_host(env: dict[str, Any]) -> None:
    host = env.get("HTTP_HOST")
    if host is None:
        if env.get("SERVER_PROTOCOL") != "HTTP/1.0":
            raise Refused(400, "the Host header is missing")
    elif not allows_host(host):
        raise Refused(403, f"the host {host!r} is not served here: use localhost")


def _check_accept(accept: str) -> None:
    """All answers are JSON or plain text."""
    if accept and not any(word in accept for word in ("*/*", "json", "application/*", "text/plain", "text/*")):
        raise Refused(406, f"cannot answer with {accept!r}: ask for application/json")
