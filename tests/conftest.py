"""Every pytest process (each xdist worker too) lives in network and mount namespaces of its own.

What a test breaks there (links, firewall, mounts, sysctls of the network) is never the host's. Cgroups and
process ids are the host's: tests use instance names of their own.
"""

from __future__ import annotations

import ctypes
import os
import subprocess

import pytest

_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
_MS_REC_PRIVATE = 0x4000 | (1 << 18)


def _enter_namespaces() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare: the tests need root")
    if libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), "making / private")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def pytest_configure(config: pytest.Config) -> None:
    controller = (
        hasattr(config.option, "numprocesses")
        and config.option.numprocesses
        and "PYTEST_XDIST_WORKER" not in os.environ
    )
    if not controller and not config.option.collectonly:
        _enter_namespaces()
