"""HTTP to one registry and to the places it redirects to: redirects, time limits, and who may see a credential.

urllib3 speaks the protocol. Redirects are followed here, since each one must be checked (``addresses.follow``) and
credentials stay with the registry's own origin. urllib3 is imported for the first request.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import reconciler
from reconciler import errors
from reconciler.drivers.registry import addresses, answers, deadline, redaction, tls

if TYPE_CHECKING:
    import ssl

    import urllib3

MAX_REDIRECTS = 5
CHUNK = 256 << 10
_CONNECT = 15.0
_READ = 30.0
#: times the usual patience that a registry may take to store a blob that it has received
_TO_STORE = 5
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_HEADERS = {"User-Agent": f"pydock/{reconciler.__version__}", "Accept-Encoding": "identity"}


class Body(NamedTuple):
    """The content of a request: ``pieces`` gives its ``size`` bytes, from the beginning each time it is called."""

    size: int
    pieces: Callable[[], Iterator[bytes]]


class Answer:
    """A response whose body is still to be read; must be closed. ``hide`` takes out of an error's words what they may
    not repeat."""

    def __init__(self, response: urllib3.BaseHTTPResponse, watch: deadline.Deadline, *, asked: bool) -> None:
        """``asked``: the answer comes from the origin that was asked, not from one that it redirected to."""
        self._response, self._watch = response, watch
        self.status = response.status
        self.asked = asked
        self.hide: redaction.Hide = redaction.nothing

    def header(self, name: str) -> str:
        """Its value, empty if there is none; of several headers the values with commas between them."""
        return str(self._response.headers.get(name, ""))

    def headers(self, name: str) -> list[str]:
        """The values of all headers of that name."""
        return [str(each) for each in self._response.headers.getlist(name)]

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes. Raises ``Temporary`` when the peer breaks off or makes no progress."""
        with _translated(self._watch):
            while piece := self._response.read1(CHUNK, decode_content=False):
                self._watch.progress(len(piece))
                yield piece

    def whole(self, limit: int) -> bytes:
        """The body, if it is no longer than ``limit``; else raises ``Permanent``."""
        found = bytearray()
        for piece in self.pieces():
            found += piece
            if len(found) > limit:
                raise errors.Permanent(f"it answered with more than the {limit} bytes allowed")
        return bytes(found)

    def failure(self) -> errors.PydockError:
        """The error that this answer means."""
        try:
            body = self.whole(answers.MAX_WORDS)
        except errors.PydockError:
            body = b""
        return answers.failure(self.status, self.header("Retry-After"), body, self.hide)

    def close(self) -> None:
        self._watch.close()
        self._response.close()

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Transport:
    """Requests to the registry at ``url``. Safe for threads.

    The authorities of ``files`` count for whatever the registry leads to; the certificate there is for it alone.
    ``plain``: somebody has configured that it is spoken to without TLS, which then goes for where it leads to."""

    def __init__(
        self,
        url: str,
        patience: float = deadline.PATIENCE,
        files: tls.Files | None = None,
        *,
        plain: bool = False,
    ) -> None:
        self.url, self.plain = url, plain
        self._patience = patience
        self._files = files or tls.Files()
        self._origin = addresses.origin(url)
        self._local = addresses.is_loopback(self._origin.host)
        self._lock = threading.Lock()
        self._managers: dict[bool, urllib3.PoolManager] = {}

    def owns(self, url: str) -> bool:
        """Whether ``url`` is at the registry's own origin."""
        return addresses.origin(url) == self._origin

    def get(self, url: str, headers: dict[str, str], authorization: str = "", method: str = "GET") -> Answer:
        """Asks, following redirects. ``authorization`` is shown to the origin of ``url`` only (``_check_secret``). The
        caller judges the status.

        Raises ``Temporary`` where the network fails, ``Permanent`` for a redirect that may not be followed."""
        asked = addresses.origin(url)
        self._check_secret(asked, authorization)
        for _ in range(MAX_REDIRECTS + 1):
            same = addresses.origin(url) == asked
            credentials = {"Authorization": authorization} if authorization and same else {}
            answer = self._ask(method, url, {**_HEADERS, **headers, **credentials}, asked=same)
            if answer.status not in _REDIRECTS:
                return answer
            location = answer.header("Location")
            answer.close()
            if not location:
                raise errors.Permanent("it redirects, but does not say where to")
            url = self.follow(url, location)
        raise errors.Permanent(f"it redirects more than {MAX_REDIRECTS} times")

    def send(self, method: str, url: str, headers: dict[str, str], authorization: str, body: Body) -> Answer:
        """Sends a body; no redirect is followed. Otherwise as ``get``."""
        self._check_secret(addresses.origin(url), authorization)
        credentials = {"Authorization": authorization} if authorization else {}
        everything = {**_HEADERS, **headers, **credentials, "Content-Length": str(body.size)}
        return self._ask(method, url, everything, asked=True, body=body)

    def follow(self, from_url: str, location: str) -> str:
        """Where a redirect, a realm or a place for an upload leads to. Raises ``Permanent`` if it may not be
        followed."""
        return addresses.follow(self.url, from_url, location, plain=self.plain)

    def _check_secret(self, asked: addresses.Origin, authorization: str) -> None:
        """A password goes over TLS, or to this host. A token, which ends soon, goes to its registry also where that is
        configured to have no TLS."""
        if not authorization or asked.scheme == "https" or addresses.is_loopback(asked.host):
            return
        if self.plain and asked == self._origin and authorization.startswith("Bearer "):
            return
        raise errors.Permanent(f"a login would go to {asked.host} without TLS: nothing was sent")

    def _ask(self, method: str, url: str, headers: dict[str, str], *, asked: bool, body: Body | None = None) -> Answer:
        manager = self._manager(own=self.owns(url))
        patience = self._patience * _TO_STORE if body is not None else self._patience
        watch = deadline.Deadline(patience)
        _current.watch = watch
        response = None
        try:
            with _translated(watch):
                response = manager.urlopen(
                    method,
                    url,
                    headers=headers,
                    body=None if body is None else _watched(body, watch),
                    timeout=_timeout(_READ if body is None else patience),
                    redirect=False,
                    retries=False,
                    preload_content=False,
                )
        except BaseException:
            watch.close()
            if response is not None:  # it came just as time was up
                response.close()
            raise
        finally:
            _current.watch = None
        return Answer(response, watch, asked=asked)

    def _manager(self, *, own: bool) -> urllib3.PoolManager:
        """``own``: for the registry itself."""
        with self._lock:
            if own not in self._managers:
                plain = own and self._origin.scheme == "http"
                context = None if plain else tls.context(self._files, prove=own)
                self._managers[own] = _new_manager(context, strict=not own and not self._local)
            return self._managers[own]


def _watched(body: Body, watch: deadline.Deadline) -> Iterator[bytes]:
    for piece in body.pieces():
        watch.progress(len(piece))
        yield piece


class _Current(threading.local):
    """The watch of the request that a thread is making, for the connection that it makes or takes."""

    watch: deadline.Deadline | None = None


_current = _Current()


class _translated:
    """Turns urllib3's exceptions into pydock's errors."""

    def __init__(self, watch: deadline.Deadline) -> None:
        self._watch = watch

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, _: object) -> None:
        import urllib3

        failed = isinstance(error, (urllib3.exceptions.HTTPError, OSError))
        if self._watch.expired and (failed or error is None):  # a connection cut by us can look like an early end
            raise errors.Temporary("it made no progress for too long, and was hung up on", delay=5) from error
        if isinstance(error, (urllib3.exceptions.HTTPError, OSError)):
            raise answers.network_failure(error) from error


def _timeout(read: float) -> urllib3.Timeout:
    import urllib3

    return urllib3.Timeout(connect=_CONNECT, read=read)


def _new_manager(context: ssl.SSLContext | None = None, *, strict: bool) -> urllib3.PoolManager:
    """``strict``: connections refuse addresses that only this host or link means, whatever name led there."""
    import ssl

    import urllib3
    from urllib3 import connection, connectionpool

    class Watched:
        """Hands the connection, new or used before, to the watch of the request."""

        def _new_conn(self) -> socket.socket:
            made: socket.socket = super()._new_conn()  # type: ignore[misc]
            if strict and addresses.is_special(str(made.getpeername()[0])):
                made.close()
                raise errors.Permanent("it sent us to a name that means an address of this host or link")
            if _current.watch is not None:
                _current.watch.watch(made)
            return made

        def request(self, *arguments: Any, **options: Any) -> None:
            used: socket.socket | None = self.sock  # type: ignore[attr-defined]
            if used is not None and _current.watch is not None:
                _current.watch.watch(used)
            try:
                super().request(*arguments, **options)  # type: ignore[misc]
            except ssl.SSLError:
                # a peer that does not want our certificate says so, and hangs up while we still write
                self.sock.recv(1)  # type: ignore[attr-defined]
                raise

    class PlainConnection(Watched, connection.HTTPConnection):
        pass

    class TlsConnection(Watched, connection.HTTPSConnection):
        pass

    class PlainPool(connectionpool.HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class TlsPool(connectionpool.HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    manager = urllib3.PoolManager(num_pools=8, maxsize=8, ssl_context=context)
    manager.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}
    return manager
