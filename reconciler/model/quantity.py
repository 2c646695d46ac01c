"""Kubernetes quantities as whole numbers: cpu in millicores, memory in bytes.

The syntax is Kubernetes': a decimal number, then nothing, a decimal suffix (``m k M G T P E``), a binary suffix
(``Ki Mi Gi Ti Pi Ei``) or a decimal exponent (``e3``). Fractions of the smallest unit are rounded up, as there.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from reconciler import errors

#: number of processes and threads that a container may have, unless its manifest says otherwise
DEFAULT_PIDS = 4096
#: with less memory than this the OCI runtime itself does not fit into the cgroup (Docker has the same minimum)
MIN_MEMORY = 6 * 1024**2
#: the kernel takes no CPU quota under 1 ms in a period of 100 ms
MIN_MILLICORES = 10
MAX_MILLICORES = 1_000_000_000
MAX_MEMORY = 2**63 - 1

_SYNTAX = re.compile(
    r"(?P<number>[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:(?P<suffix>[KMGTPE]i|[mkMGTPE])|[eE](?P<exponent>[+-]?[0-9]{1,2}))?\Z"
)
_SUFFIX = {
    "m": Fraction(1, 1000),
    **{letter: Fraction(1000 ** (power + 1)) for power, letter in enumerate("kMGTPE")},
    **{letter + "i": Fraction(1024 ** (power + 1)) for power, letter in enumerate("KMGTPE")},
}


def parse(value: str | int | float) -> Fraction:
    """The exact number that ``value`` means, not negative. Raises ``errors.Invalid``."""
    text = str(value)
    found = _SYNTAX.match(text)
    if found is None:
        raise errors.Invalid(
            f"{text[:40]!r} is no quantity: expected a number with a suffix such as 500m, 1.5, 64Mi or 2G"
        )
    number = Fraction(found["number"].rstrip(".") or "0")
    if found["exponent"]:
        return number * Fraction(10) ** int(found["exponent"])
    return number * _SUFFIX.get(found["suffix"] or "", Fraction(1))


def millicores(value: str | int | float) -> int:
    """CPU as thousandths of a core: ``"500m"`` and ``0.5`` are 500. Raises ``errors.Invalid`` outside 10m … 1000000."""
    amount = math.ceil(parse(value) * 1000)
    if not MIN_MILLICORES <= amount <= MAX_MILLICORES:
        raise errors.Invalid(f"cpu {value!s} is out of range: expected at least 10m and at most 1000000")
    return amount


def to_bytes(value: str | int) -> int:
    """Bytes: ``"64Mi"`` is 67108864. Raises ``errors.Invalid`` for what is no quantity, zero or over 2^63-1."""
    text = str(value)
    if text.endswith("m"):
        raise errors.Invalid(f"{text!r} means thousandths of a byte: write {text[:-1]}Mi or {text[:-1]}M for megabytes")
    amount = math.ceil(parse(value))
    if not 0 < amount <= MAX_MEMORY:
        raise errors.Invalid(f"{text} bytes is out of range: expected more than 0 and less than 8Ei")
    return amount


def memory(value: str | int) -> int:
    """A memory limit in bytes. Raises ``errors.Invalid`` under 6Mi too: no container can start with less."""
    amount = to_bytes(value)
    if amount < MIN_MEMORY:
        raise errors.Invalid(f"memory {value!s} is too little to start a container: expected at least 6Mi")
    return amount
