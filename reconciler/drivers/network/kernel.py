"""What the kernel must have, and what to do when it lacks it: names of modules in place of error numbers."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from reconciler import errors

#: what the kernel answers when it has no such protocol, kind of link, table or expression, not even as a module
_LACKING = (errno.EPROTONOSUPPORT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.ENOPROTOOPT)
#: what the rules of ``ruleset`` are made of
NFTABLES = ("nf_tables", "nft_chain_nat", "nft_nat", "nft_masq", "nft_ct", "nft_fib_ipv4")


def lacks(what: str, *modules: str) -> errors.Permanent:
    """The error that names ``modules`` and the remedy."""
    several = len(modules) > 1
    command = f"modprobe {'-a ' if several else ''}{' '.join(modules)}"
    return errors.Permanent(
        f"this kernel has no {what}: load the kernel module{'s' if several else ''} with '{command}', and name "
        f"{'them' if several else 'it'} in /etc/modules-load.d/pydock.conf so that each boot does. If modprobe finds "
        "none, install the package with the kernel's other modules, or boot the kernel that is installed"
    )


@contextlib.contextmanager
def needs(what: str, *modules: str) -> Iterator[None]:
    """Turns the kernel's "not supported" into that error."""
    try:
        yield
    except OSError as error:
        if error.errno in _LACKING:
            raise lacks(what, *modules) from error
        raise
