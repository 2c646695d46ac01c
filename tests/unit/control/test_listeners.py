"""Sockets for clients: their mode, what is in their place, what systemd passes."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.control import listeners


def test_a_socket_is_for_its_group_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "pydock.sock"
    with listeners.unix(str(path), "daemon") as made:
        found = path.stat()
        assert stat.S_IMODE(found.st_mode) == 0o660
        assert (found.st_uid, found.st_gid) == (0, 1)
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        assert not os.get_inheritable(made.fileno())


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o177])
def test_who_is_in_the_group_can_reach_the_socket(tmp_path: Path, mask: int) -> None:
    """Whatever the daemon's umask; a directory that was there keeps its mode."""
    tmp_path.chmod(0o750)
    path = tmp_path / "deep" / "deeper" / "pydock.sock"
    before = os.umask(mask)
    try:
        listeners.unix(str(path), "daemon").close()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (path.parent, path.parent.parent, tmp_path)]
    assert modes == [0o755, 0o755, 0o750]


def test_one_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "pydock.sock")
    listeners.unix(path, "").close()
    with listeners.unix(path, ""), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_one_that_is_listened_on_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "pydock.sock")
    with listeners.unix(path, ""), socket.socket(socket.AF_UNIX) as client:
        with pytest.raises(errors.Permanent, match="another process listens there"):
            listeners.unix(path, "")
        client.connect(path)


def test_a_file_a_directory_or_a_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "directory", "link"):
        with pytest.raises(errors.Permanent, match="not a socket is there"):
            listeners.unix(str(tmp_path / name), "")
    assert (tmp_path / "file").read_text() == "precious"
    assert (tmp_path / "link").is_symlink()


def test_what_cannot_be_had_is_named_and_the_others_are_closed(tmp_path: Path) -> None:
    first, long = f"{tmp_path}/first.sock", f"{tmp_path}/{'x' * 200}.sock"
    with pytest.raises(errors.Permanent, match=r"cannot listen on unix://.*x\.sock"):
        listeners.open_all([f"unix://{first}", f"unix://{long}"], "", {})
    with pytest.raises(errors.Permanent, match="no such group"):
        listeners.open_all([f"unix://{first}"], "no-such-group", {})
    listeners.unix(first, "").close()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "-1", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())},
    ],
)
def test_without_passed_sockets_fd_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(errors.Permanent, match="no sockets were passed"):
        listeners.activated(environ)


def test_files_of_closed_listeners_are_taken_away(tmp_path: Path) -> None:
    hosts = [f"unix://{tmp_path}/a.sock", f"unix://{tmp_path}/b.sock"]
    listeners.close_all(listeners.open_all(hosts, "", {}))
    listeners.remove_paths(["fd://", *hosts])
    listeners.remove_paths(hosts)
    assert list(tmp_path.iterdir()) == []
