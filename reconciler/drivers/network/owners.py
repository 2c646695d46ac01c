"""Link aliases: whose a link is.

A bridge bears ``pydock:INSTANCE:network:UID``, the host's end of a veth ``pydock:INSTANCE:endpoint:UID/NETWORK_UID``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from reconciler import errors
from reconciler.drivers.network import links, netlink
from reconciler.drivers.network.links import Link
from reconciler.model import names

#: begins the alias of every instance's links
PREFIX = "pydock:"
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


def valid_uid(uid: str) -> bool:
    """Whether ``uid`` can stand in a file's name, an alias and an nft comment."""
    return _UID.match(uid) is not None


def check_uid(uid: str) -> str:
    """``uid`` if it is valid; raises ``Invalid``."""
    if not valid_uid(uid):
        raise errors.Invalid(f"uid {uid!r}: expected 1 to 64 letters, digits, '.', '_' and '-'")
    return uid


def network_alias(instance: str, uid: str) -> str:
    return names.alias(instance, "network", uid)


def endpoint_alias(instance: str, uid: str, network_uid: str) -> str:
    return names.alias(instance, "endpoint", f"{uid}/{network_uid}")


def owner(instance: str, kind: str, link: Link) -> str:
    """The uid of the network or endpoint that a link belongs to; empty when it is none of this instance's."""
    prefix = names.alias(instance, kind, "")
    return link.alias.removeprefix(prefix).split("/")[0] if link.alias.startswith(prefix) else ""


def ours(link: Link, kind: str, alias: str) -> bool:
    """Whether a link of our name is what we made. An alias that was merely lost or overwritten does not make it
    foreign: the name, a hash of instance and uid, says enough."""
    return link.kind == kind and (link.alias == alias or not link.alias.startswith(PREFIX))


def refuse_foreign(link: Link | None, kind: str, alias: str) -> None:
    """Raises ``Conflict`` when a link of our name is something else."""
    if link is not None and not ours(link, kind, alias):
        what = f"{link.kind or 'no kind'}, alias {link.alias!r}"
        raise errors.Conflict(f"link {link.name} exists and is not ours ({what})")


def find(host: netlink.Socket, needle: str, accept: Callable[[Link], bool]) -> list[Link]:
    """The host's links whose alias contains ``needle`` and that ``accept`` takes. Reads only messages with the needle's
    bytes in them: of thousands of links a few."""
    wanted = needle.encode()
    found = []
    for reply in host.dump(links.all_links()):
        if wanted in bytes(reply.body):
            link = links.link(reply)
            if link is not None and needle in link.alias and accept(link):
                found.append(link)
    return found


def bridges(host: netlink.Socket) -> list[Link]:
    """The bridges of all instances."""
    return find(host, ":network:", lambda link: link.kind == "bridge" and link.alias.startswith(PREFIX))
