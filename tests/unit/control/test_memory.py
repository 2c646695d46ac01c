"""What a burst of threads leaves behind."""

from __future__ import annotations

import subprocess
import sys

#: threads that allocate at the same time, then the arenas that the C library has made for them: mappings of 64 MiB
_THREADS = """
import ctypes, sys, threading
from reconciler.control import memory

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

#: much is allocated in small pieces and freed but for the last; then what the process holds before and after
_PIECES = """
import ctypes
from reconciler.control import memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
pieces = [libc.malloc(2000) for _ in range(20000)]
for piece in pieces:
    ctypes.memset(piece, 1, 2000)
for piece in pieces[:-1]:
    libc.free(piece)

def held():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

before = held()
memory.give_back()
print(before - held())
"""


def python(program: str, *words: str) -> int:
    command = [sys.executable, "-c", program, *words]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


def test_threads_share_one_arena() -> None:
    assert python(_THREADS, "one") == 0
    assert python(_THREADS, "each") > 1


def test_free_memory_is_given_back() -> None:
    assert python(_PIECES) > 30e6
