"""Every pytest process (each xdist worker too) lives in network and mount namespaces of its own.

What a test breaks there (links, firewall, mounts, sysctls of the network) is never the host's. Cgroups and
process ids are the host's: tests use instance names of their own. The process that only hands tests to workers stays on
the host, and looks whether links, addresses, routes, sysctls, firewall, mounts and cgroups are the same afterwards.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess

import pytest

from reconciler.testing import leaks, order, runs

pytest_plugins = ("reconciler.testing.fixtures",)

_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
_MS_REC_PRIVATE = 0x4000 | (1 << 18)
#: cgroups that bear no name of ours come and go with whatever else the host does
_OTHERS = r"^(left over in|gone from) cgroups: (?!.*pydock-)"
_BEFORE = pytest.StashKey[leaks.Footprint]()
_LEFT = pytest.StashKey[list[str]]()


def _enter_namespaces() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare: the tests need root")
    if libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), "making / private")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _hands_out(config: pytest.Config) -> bool:
    return bool(getattr(config.option, "numprocesses", None)) and "PYTEST_XDIST_WORKER" not in os.environ


def pytest_configure(config: pytest.Config) -> None:
    # a shell that runs us in the background has it ignored, and so would every command whose Ctrl-C is tested
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runs.run()
    if config.option.collectonly:
        return
    if _hands_out(config):
        config.stash[_BEFORE] = leaks.snapshot(None)
    else:
        _enter_namespaces()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = order.longest_first(items)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    before = session.config.stash.get(_BEFORE, None)
    if before is None:
        return
    ignore = f"{runs.foreign()}|{_OTHERS}"
    left = leaks.compare(before, leaks.snapshot(None), ignore=ignore)
    session.config.stash[_LEFT] = left
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left = config.stash.get(_LEFT, None)
    if left is None:
        return
    verdict = "the host is as it was before" if not left else "THE HOST HAS CHANGED"
    terminalreporter.section(verdict)
    for line in left:
        terminalreporter.write_line(line)
