"""Where the server listens: the text of ``-H`` or ``PYDOCK_HOST``, checked."""

from __future__ import annotations

from reconciler import errors

DEFAULT = "unix:///run/pydock/pydock.sock"
#: ``sun_path`` holds 108 bytes with its closing NUL
_LONGEST = 107


def parse(text: str) -> str:
    """The socket's absolute path of ``unix:///path`` or ``/path``. Raises ``errors.Invalid``."""
    if text.startswith(("tcp://", "http://", "https://", "ssh://", "fd://")):
        scheme = text.partition("://")[0]
        raise errors.Invalid(
            f"host {text!r}: {scheme}:// is not supported yet, because it has no TLS yet: use unix:///PATH"
        )
    if not text:
        raise errors.Invalid("the host is empty: expected unix:///PATH or an absolute /PATH")
    path = text.removeprefix("unix://")
    if not path.startswith("/"):
        raise errors.Invalid(f"host {text!r}: expected unix:///PATH or an absolute /PATH")
    if "\0" in path or len(path.encode("utf-8", "surrogateescape")) > _LONGEST:
        raise errors.Invalid(f"host {text!r}: a unix socket's path has at most {_LONGEST} bytes, none of them zero")
    return path
