"""The sockets that clients connect to: made here as root, handed to the API process as descriptors."""

from __future__ import annotations

import contextlib
import grp
import os
import socket
import stat
from collections.abc import Mapping, Sequence

from reconciler import errors

#: the first descriptor of systemd's socket activation, sd_listen_fds(3)
_LISTEN_FDS_START = 3


def open_all(hosts: Sequence[str], group: str, environ: Mapping[str, str]) -> list[socket.socket]:
    """Opens listening sockets for ``hosts`` (``unix:///PATH``, mode 0660 of root and ``group``, or ``fd://``).

    Raises ``errors.Permanent`` naming the address that is not available; those opened before it are closed.
    """
    opened: list[socket.socket] = []
    try:
        for host in hosts:
            opened.extend(activated(environ) if host == "fd://" else [unix(host.removeprefix("unix://"), group)])
    except BaseException:
        close_all(opened)
        raise
    return opened


def unix(path: str, group: str) -> socket.socket:
    """A unix socket at ``path``, taking the place of one that nobody listens on any more."""
    gid = _gid(group)
    _clear(path)
    try:
        make_directory(os.path.dirname(path))
    except OSError as error:
        raise errors.Permanent(f"cannot listen on unix://{path}: {error.filename}: {error.strerror}") from None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(path)
        os.chown(path, 0, gid)
        os.chmod(path, 0o660)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise errors.Permanent(f"cannot listen on unix://{path}: {error.strerror}") from None
    finally:
        os.umask(mask)
    return listener


def make_directory(path: str) -> None:
    """A directory for sockets, which everybody may pass through, whatever our umask: the socket itself says who may
    connect. One that is there already keeps its mode. Raises ``OSError``."""
    if os.path.isdir(path):
        return
    make_directory(os.path.dirname(path))
    os.mkdir(path)
    os.chmod(path, 0o755)


def activated(environ: Mapping[str, str]) -> list[socket.socket]:
    """The listening sockets that systemd passed."""
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit() or int(count) < 1:
        raise errors.Permanent(
            "-H fd://: no sockets were passed; start pydockd through pydockd.socket, or listen on unix:///PATH"
        )
    sockets = [socket.socket(fileno=fd) for fd in range(_LISTEN_FDS_START, _LISTEN_FDS_START + int(count))]
    for listener in sockets:
        os.set_inheritable(listener.fileno(), False)
        if listener.family != socket.AF_UNIX:
            raise errors.Permanent(
                "-H fd://: a socket other than a unix one was passed; tcp needs TLS, which this version lacks"
            )
    return sockets


def close_all(sockets: Sequence[socket.socket]) -> None:
    for listener in sockets:
        listener.close()


def remove_paths(hosts: Sequence[str]) -> None:
    """Removes the socket files that ``open_all`` made."""
    for host in hosts:
        if host.startswith("unix://"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(host.removeprefix("unix://"))


def _gid(group: str) -> int:
    if not group:
        return 0
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise errors.Permanent(f"--group {group}: no such group on this host") from None


def _clear(path: str) -> None:
    try:
        mode = os.stat(path, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise errors.Permanent(f"cannot listen on unix://{path}: {error.strerror}") from None
    if not stat.S_ISSOCK(mode):
        raise errors.Permanent(f"cannot listen on unix://{path}: a file that is not a socket is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            os.unlink(path)
            return
    raise errors.Permanent(f"cannot listen on unix://{path}: another process listens there")
