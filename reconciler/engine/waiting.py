"""Waiting for descriptors of any number: ``select`` fails on those from 1024 up, which a busy host soon has."""

from __future__ import annotations

import select
from collections.abc import Iterable


def readable(fds: Iterable[int], seconds: float) -> set[int]:
    """Those that can be read, or have ended, within ``seconds``; empty when none can. Negative numbers are passed
    over."""
    poll = select.poll()
    for fd in fds:
        if fd >= 0:
            poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(max(0.0, seconds) * 1000)}
