"""A process that writes to a store until it is killed; ``python -m reconciler.testing.store_child PATH MODE``.

It prints one line after each commit: what was acknowledged. MODE is ``durable``, ``mixed`` or ``once``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from reconciler import errors
from reconciler.store import open_store
from reconciler.store.base import Store
from reconciler.testing.store_samples import create, running


def main(path: str, mode: str) -> None:
    """Creates objects, observes them and removes every third; acknowledges each by ``NAME created|observed|purged``."""
    store = open_store(Path(path))
    _say("open")
    number = 0
    while True:
        number += 1
        name = f"c{os.getpid()}-{number}"
        try:
            _one(store, name, durable=mode != "mixed" or number % 2 == 0, remove=number % 3 == 0)
        except errors.Temporary as error:
            _say(f"failed {error}")
        if mode == "once":
            break
        if number % 10 == 0:
            store.checkpoint()


def _one(store: Store, name: str, durable: bool, remove: bool) -> None:
    with store.transaction(durable) as session:
        uid = create(session, name).uid
    _say(f"{name} created")
    with store.transaction(durable) as session:
        session.observed.put(uid, running(uid))
        session.journal.begin("start", name, uid, "", 1, 1.0)
    _say(f"{name} observed")
    if remove:
        with store.transaction(durable) as session:
            session.objects.purge(uid)
        _say(f"{name} purged")


def _say(line: str) -> None:
    """Unbuffered: whoever reads it may rely on what it says."""
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
