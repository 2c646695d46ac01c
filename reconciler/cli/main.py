"""The entry point, ``pydock``: as little as must be there before the command itself is loaded."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line of this process.

    A command lives for 50 ms. Looking for garbage while modules load takes 2 of them and finds none; the interpreter's
    clean-up takes another 5, and nothing here waits for it: output is flushed, and the kernel closes the socket.
    """
    try:
        gc.disable()
        from reconciler.cli import invoking

        gc.enable()
        status = invoking.run(sys.argv[1:])
    except KeyboardInterrupt:
        status = 130  # before the command's own handling was loaded, or after it
    os._exit(status)


if __name__ == "__main__":
    main()
