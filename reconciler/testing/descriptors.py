"""A process with very many open descriptors, as a host of some hundred containers has."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def high_numbers() -> Iterator[None]:
    """Descriptors that are opened meanwhile are beyond what ``select`` can take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    null = os.open("/dev/null", os.O_RDONLY)
    taken = [null]
    try:
        while taken[-1] < 1100:
            taken.append(os.dup(null))
        yield
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
