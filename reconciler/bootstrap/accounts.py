"""The account that the API process runs as: one that no other program has, since every process of an account may stop
and kill the others.
"""

from __future__ import annotations

import grp
import pwd
import zlib

from reconciler import errors

#: made by packaging (``packaging/pydock.sysusers``)
ACCOUNT = "pydock-api"
#: numbers above those that systemd, containers and user namespaces take (systemd's UIDS-GIDS.md)
_FIRST, _COUNT = 0x7000_0000, 0x0FFF_0000


def api_user(name: str, instance: str, uid_map: str = "/proc/self/uid_map") -> tuple[int, int]:
    """uid and gid of ``name`` (a user or a number). Empty: those of ``pydock-api``, or where there is no such user a
    number that no account has, another one for each instance.

    Raises ``Permanent`` for an unknown user, for root, and where no such number can be used.
    """
    if name:
        uid, gid = _named(name)
        if uid == 0:
            raise errors.Permanent(f"--api-user {name}: the API process must not run as root")
        return uid, gid
    try:
        found = pwd.getpwnam(ACCOUNT)
        return found.pw_uid, found.pw_gid
    except KeyError:
        return _unused(instance, uid_map)


def _named(name: str) -> tuple[int, int]:
    try:
        found = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        if name.isdigit():
            return int(name), int(name)
        raise errors.Permanent(f"--api-user {name}: no such user on this host") from None
    return found.pw_uid, found.pw_gid


def _unused(instance: str, uid_map: str) -> tuple[int, int]:
    begin = zlib.crc32(f"pydock-api/{instance}".encode()) % _COUNT
    for turn in range(100):
        number = _FIRST + (begin + turn) % _COUNT
        if not _taken(number) and _usable(number, uid_map):
            return number, number
    raise errors.Permanent(
        f"there is no user {ACCOUNT} for the API process, and no unused number can be had here: "
        "make that user, or name another one with --api-user"
    )


def _taken(number: int) -> bool:
    for look in (pwd.getpwuid, grp.getgrgid):
        try:
            look(number)
            return True
        except KeyError:
            continue
    return False


def _usable(number: int, uid_map: str) -> bool:
    """Whether this user namespace has the number."""
    with open(uid_map, encoding="ascii") as file:
        ranges = [tuple(map(int, line.split())) for line in file]
    return any(first <= number < first + count for first, _, count in ranges)
