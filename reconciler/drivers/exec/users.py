"""Who a container's process runs as: an image's ``user[:group]`` looked up in the image's own passwd and group files.

Those files are a stranger's: they are opened without following a link out of the rootfs, only when they are regular
files, and only their first ``MAX_BYTES`` are read. An identity that is not clear is refused, never taken for root.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator

import msgspec

from reconciler.drivers.exec import inside
from reconciler.errors import Permanent

MAX_BYTES = 1 << 20
#: ids above are taken for negative by some kernel interfaces
MAX_ID = (1 << 31) - 1
#: as many as runc and crun hand to setgroups without trouble
MAX_GROUPS = 1024
_NUMBER = re.compile(r"[0-9]{1,10}")
#: of a line of passwd(5), the longer one
_FIELDS = 7


class Identity(msgspec.Struct, frozen=True):
    """``home`` is empty when the passwd file names none."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = ""


def resolve(rootfs: str, user: str) -> Identity:
    """Looks ``user`` up below ``rootfs``. A number needs no entry; a name does. Raises ``Permanent`` when it cannot."""
    return lookup(user, read_inside(rootfs, "etc/passwd"), read_inside(rootfs, "etc/group"))


def lookup(user: str, passwd: str, group: str) -> Identity:
    """``resolve`` on the files' texts, as docker does it (github.com/moby/sys/user, "GetExecUser"). An all-digits name
    is always a number, whatever the files call so; an empty name is root's; what follows a second colon is nothing."""
    name, group_name = (*user.split(":"), "")[:2]
    uid, gid, home, login = _user(name or "0", passwd)
    if group_name:
        return Identity(uid=uid, gid=_group(group_name, group), home=home)
    extra = sorted(set(_memberships(login, group)) - {gid})[:MAX_GROUPS] if login else []
    return Identity(uid=uid, gid=gid, groups=tuple(extra), home=home)


def _user(name: str, passwd: str) -> tuple[int, int, str, str]:
    number = _parse_id(name, "user")
    for fields in _entries(passwd, least=4):
        if fields[0] != name and number is None:
            continue
        uid, gid = _entry_id(fields[2]), _entry_id(fields[3] or "0")
        if number is not None and uid != number:
            continue
        if uid is None or gid is None:
            raise Permanent(f"user {name!r}: its entry in the image's /etc/passwd has no valid ids")
        return uid, gid, fields[5], fields[0]
    if number is not None:
        return number, 0, "", ""
    if name == "root" and not passwd:
        return 0, 0, "", ""
    raise _unknown(name, "user", "/etc/passwd")


def _group(name: str, group: str) -> int:
    number = _parse_id(name, "group")
    if number is not None:
        return number
    for fields in _entries(group, least=3):
        if fields[0] == name:
            gid = _entry_id(fields[2])
            if gid is None:
                raise Permanent(f"group {name!r}: its entry in the image's /etc/group has no valid id")
            return gid
    raise _unknown(name, "group", "/etc/group")


def _memberships(login: str, group: str) -> Iterator[int]:
    for fields in _entries(group, least=4):
        gid = _entry_id(fields[2])
        if gid is not None and login in fields[3].split(","):
            yield gid


def _entries(text: str, least: int) -> Iterator[list[str]]:
    """Lines of so many fields at ``least``. Those at the end may be missing, and are empty then."""
    for line in text.split("\n"):
        fields = line.strip().split(":")
        if len(fields) >= least and fields[0] and not fields[0].startswith("#"):
            yield [*fields, *[""] * (_FIELDS - len(fields))]


def _entry_id(text: str) -> int | None:
    return int(text) if text.isascii() and _NUMBER.fullmatch(text) and int(text) <= MAX_ID else None


def _parse_id(text: str, what: str) -> int | None:
    """The id that ``text`` writes in digits; None when it is a name."""
    if not re.fullmatch(r"[0-9]+", text):
        return None
    if len(text) > 10 or int(text) > MAX_ID:
        raise Permanent(f"{what} {text[:40]}: ids go from 0 to {MAX_ID}")
    return int(text)


def _unknown(name: str, what: str, file: str) -> Permanent:
    if re.fullmatch(r"[+-]?[\d.]+|0[xX].*", name) or any(ord(char) <= 32 for char in name):
        return Permanent(f"{what} {name[:40]!r} is neither a name nor a number from 0 to {MAX_ID}")
    return Permanent(f"{what} {name[:40]!r} is not in the image's {file}; a number needs no entry there")


def read_inside(rootfs: str, path: str) -> str:
    """The start of a text file below ``rootfs``; empty when it is missing or no regular file."""
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = inside.open_path(root, path)
    except OSError:
        return ""
    finally:
        os.close(root)
    try:
        # O_PATH until here: a FIFO or a device in the image is never opened
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        with open(f"/proc/self/fd/{fd}", "rb") as file:
            data = file.read(MAX_BYTES)
    finally:
        os.close(fd)
    if len(data) == MAX_BYTES:
        data = data[: data.rfind(b"\n") + 1]
    return data.decode(errors="surrogateescape")
