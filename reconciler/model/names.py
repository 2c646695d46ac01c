"""Names of kernel objects. They are fixed before the object is made, so that a step that crashed finds what it left.

A link's name holds 15 characters, so names are hashes; the full identity goes to the link's alias.
"""

from __future__ import annotations

import hashlib
import re

from reconciler import errors

_INSTANCE = re.compile(r"[a-z0-9][a-z0-9_]{0,23}\Z")


def check_instance(name: str) -> str:
    """``name`` if it can name an instance (it becomes part of a slice and of a firewall table)."""
    if not _INSTANCE.match(name):
        raise errors.Invalid(
            f"instance name {name!r}: expected 1 to 24 of a-z, 0-9 and _, starting with a letter or digit"
        )
    return name


def _short(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:11]


def bridge(instance: str, network_uid: str) -> str:
    """The bridge of a network: ``pdb`` and 11 hex digits."""
    return "pdb" + _short(instance, network_uid)


def host_interface(instance: str, uid: str, index: int) -> str:
    """The host's end of a container's veth: ``pdv`` and 11 hex digits. It belongs to the object, not a run."""
    return "pdv" + _short(instance, uid, str(index))


def alias(instance: str, kind: str, uid: str) -> str:
    """The link alias that tells whose it is: ``pydock:INSTANCE:KIND:UID``."""
    return f"pydock:{instance}:{kind}:{uid}"


def nft_table(instance: str) -> str:
    """The instance's own nftables table (family ip)."""
    return f"pydock_{instance}"


def slice_name(instance: str) -> str:
    """The slice (systemd) or top cgroup (cgroupfs) of an instance's containers."""
    return f"pydock-{instance}.slice"


def mac(address: str) -> str:
    """A locally administered MAC made of an IPv4 address, so that it stays with the lease."""
    return "02:70:" + ":".join(f"{int(part):02x}" for part in address.split("."))
