"""What this process keeps of each endpoint: a lock, sockets inside its namespace, and which links it is known to have.

All of it can be found again after a restart; kept, it makes looking cheap.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from reconciler.drivers.network.events import Events
from reconciler.drivers.network.namespaces import Namespaces, Opened


class State:
    """``host_names`` are the host's links that are known to be all the endpoint has; None: not looked for yet."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.opened: Opened | None = None
        self.host_names: frozenset[str] | None = None


class Kept:
    """The states of one instance's endpoints."""

    def __init__(self, namespaces: Namespaces, events: Events) -> None:
        self._namespaces = namespaces
        self._events = events
        self._lock = threading.Lock()
        self._states: dict[str, State] = {}

    @contextlib.contextmanager
    def hold(self, uid: str) -> Iterator[State]:
        """The endpoint's state, for this thread alone until the end of the block. Nothing is kept of an endpoint that
        has no namespace then: it may have been asked for after it was removed."""
        while True:
            with self._lock:
                state = self._states.setdefault(uid, State())
            with state.lock:
                if self._states.get(uid) is not state:  # it was removed while we waited
                    continue
                try:
                    yield state
                finally:
                    if state.opened is None:
                        self._drop(uid, state)
                return

    def find(self, uid: str, state: State) -> Opened | None:
        """The sockets inside the namespace, opened if there is one."""
        if state.opened is None:
            found = self._namespaces.open(uid)
            if found is not None:
                self._keep(state, found)
        return state.opened

    def make(self, uid: str, state: State) -> Opened:
        """The same, of a new namespace."""
        opened = self._namespaces.create(uid)
        self._keep(state, opened)
        return opened

    def _keep(self, state: State, opened: Opened) -> None:
        state.opened = opened
        self._events.add(opened.events)

    def forget(self, uid: str, state: State) -> None:
        """Closes what is kept of an endpoint that is being removed."""
        self._release(state)
        self._drop(uid, state)

    def _drop(self, uid: str, state: State) -> None:
        with self._lock:
            if self._states.get(uid) is state:  # else another has begun anew already
                del self._states[uid]

    def _release(self, state: State) -> None:
        if state.opened is not None:
            self._events.discard(state.opened.events)
            state.opened.close()
            state.opened = None

    def close(self) -> None:
        """Closes all; the namespaces stay, held by their files."""
        with self._lock:
            states = list(self._states.values())
        for state in states:
            with state.lock:
                self._release(state)
