"""What a burst of threads leaves behind."""

from __future__ import annotations

import subprocess
import sys

#: threads that allocate at the same time, then the arenas that the C library has made for them: mappings of 64 MiB
_THREADS = """
import ctypes, sys, threading
from reconciler.bootstrap import memory

if sys.argv[1] == "one":
    memory.keep_to_one_arena()
malloc = ctypes.CDLL(None).malloc
malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
barrier = threading.Barrier(6)

def allocate():
    barrier.wait()
    malloc(1000)
    barrier.wait()

threads = [threading.Thread(target=allocate) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ranges = [line.split()[:2] for line in open("/proc/self/maps")]
spans = [([int(end, 16) for end in place.split("-")], mode) for place, mode in ranges]
pairs = zip(spans, spans[1:])
print(sum(a[1] - a[0] + b[1] - b[0] == 64 << 20 and a[1] == b[0] and how == "---p" for (a, _), (b, how) in pairs))
"""


def arenas(word: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _THREADS, word], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


def test_threads_share_one_arena() -> None:
    assert arenas("one") == 0
    assert arenas("each") > 1
