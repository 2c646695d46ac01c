"""Names of test instances: each tells whose run of the tests made it, so that two runs do not blame each other."""

from __future__ import annotations

import os
import secrets

_VARIABLE = "PYDOCK_TEST_RUN"


def run() -> str:
    """This run's name, the same in all its processes."""
    return os.environ.setdefault(_VARIABLE, secrets.token_hex(3))


def instance() -> str:
    """A name for an instance that nobody else has."""
    return f"t{run()}x{secrets.token_hex(3)}"


def foreign() -> str:
    """A regular expression for slices of instances that other runs made."""
    return rf"pydock-(?!t{run()}x)"
