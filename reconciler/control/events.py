"""One thread that listens to the kernel: processes that end, links and rules that change, mounts that go, limits
somebody wrote.

What it hears only says *look again*. Our own changes arrive here too; the comparison that follows finds nothing to do.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from reconciler import errors
from reconciler.drivers import inotify
from reconciler.drivers.exec import pids
from reconciler.engine import effects, waiting
from reconciler.engine.effects import Watched
from reconciler.engine.parts import Parts
from reconciler.model import kinds
from reconciler.model.keys import Key
from reconciler.model.view import Entry

log = logging.getLogger("pydock.events")

#: a burst of changes is looked at once it has been quiet for so long, or goes on for so long (seconds)
_QUIET, _AT_MOST = 0.010, 0.100
#: comparisons take no more than a tenth of the time while changes keep coming; the longest pause for that (seconds)
_REST, _REST_MOST = 9, 0.400
#: pause before a comparison that failed is repeated (seconds)
_AGAIN = 0.5


@dataclass
class _Tracked:
    """What is watched on behalf of one object."""

    key: Key
    watched: Watched = field(default_factory=Watched)
    fds: list[int] = field(default_factory=list)


class Events:
    """``look(keys, closely)`` is called from this thread; ``track`` is called by the loop after every look at an
    object."""

    def __init__(self, parts: Parts, look: Callable[[Iterable[Key], bool], None]) -> None:
        self._parts, self._look = parts, look
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._inotify = inotify.Inotify()
        self._guard = threading.Lock()
        self._tracked: dict[str, _Tracked] = {}
        self._uids: dict[Key, set[str]] = {}
        self._by_fd: dict[int, str] = {}
        self._by_file: dict[str, str] = {}
        self._network_fds: frozenset[int] = frozenset()
        self._dirty_since = 0.0
        self._dirty_last = 0.0
        self._rested = 0.0
        #: something is tracked that the last comparison knew nothing of
        self._more = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        self._epoll.register(self._wake, select.EPOLLIN)
        self._epoll.register(self._inotify.fileno(), select.EPOLLIN)
        self._mount_fd = self._parts.graph_driver.mount_event_fd()
        if self._mount_fd is not None:
            self._epoll.register(self._mount_fd, select.EPOLLPRI | select.EPOLLERR)
        self._thread.start()

    def close(self, patience: float = 5.0) -> None:
        """Ends the thread, and waits for it no longer than ``patience`` seconds."""
        self._closed = True
        os.eventfd_write(self._wake, 1)
        if self._thread.is_alive():
            self._thread.join(patience)

    def track(self, key: Key, entries: Sequence[Entry]) -> None:
        """Watches what there is of the objects of ``key`` now, and no longer what there was."""
        with self._guard:
            known = self._uids.pop(key, set())
            present = {entry.desired.uid for entry in entries}
            for uid in known - present:
                self._forget(uid)
            for entry in entries:
                self._track(key, entry)
            if present:
                self._uids[key] = present
        os.eventfd_write(self._wake, 1)

    def _track(self, key: Key, entry: Entry) -> None:
        tracked = self._tracked.setdefault(entry.desired.uid, _Tracked(key))
        before, now = tracked.watched, effects.of(key.kind).watch(self._parts, entry)
        if before.processes != now.processes or before.files != now.files:
            self._drop_watches(tracked)
            self._add_watches(entry.desired.uid, tracked, now)
        tracked.watched = now
        # what happened between the look at it and now was heard, but not as its own
        around = (before.processes, before.endpoint, before.network)
        self._more = self._more or around != (now.processes, now.endpoint, now.network)

    def _add_watches(self, uid: str, tracked: _Tracked, now: Watched) -> None:
        for index, process in enumerate(now.processes):
            fd = pids.open_pidfd(*process)
            if fd is not None:
                self._register(fd, uid, tracked)
            elif index == 0:
                # gone between the look and now: look again
                self._look([tracked.key], False)
        for path in now.files:
            with contextlib.suppress(OSError):
                self._inotify.add(path, inotify.MODIFY)
                self._by_file[path] = uid
        if now.altered():
            # between the look and now
            self._look([tracked.key], True)

    def _register(self, fd: int, uid: str, tracked: _Tracked) -> None:
        tracked.fds.append(fd)
        self._by_fd[fd] = uid
        self._epoll.register(fd, select.EPOLLIN)

    def _forget(self, uid: str) -> None:
        tracked = self._tracked.pop(uid, None)
        if tracked is not None:
            self._drop_watches(tracked)

    def _drop_watches(self, tracked: _Tracked) -> None:
        for fd in tracked.fds:
            self._close(fd)
        tracked.fds.clear()
        for path in tracked.watched.files:
            self._by_file.pop(path, None)
            self._inotify.remove(path)

    def _close(self, fd: int) -> None:
        self._by_fd.pop(fd, None)
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(fd)
        with contextlib.suppress(OSError):
            os.close(fd)

    def _run(self) -> None:
        while not self._closed:
            try:
                self._refresh_network_fds()
                for fd, _ in self._epoll.poll(self._pause()):
                    self._heard(fd)
                self._compare_if_due()
            except Exception:
                # a listener that dies would leave the host unwatched until the slow look
                log.exception("internal error while listening to the kernel")
                time.sleep(0.5)

    def _heard(self, fd: int) -> None:
        if fd == self._wake:
            os.eventfd_read(fd)
            with self._guard:
                more, self._more = self._more, False
            if more:
                self._dirty()
        elif fd in self._network_fds:
            self._parts.network.drain(fd)
            self._dirty()
        elif fd == self._mount_fd:
            self._dirty()
        elif fd == self._inotify.fileno():
            self._limits_written(self._inotify.read())
        else:
            self._ended(fd)

    def _ended(self, fd: int) -> None:
        """A process or a conmon is gone: its pidfd stays readable, so it is watched no longer."""
        with self._guard:
            uid = self._by_fd.get(fd)
            if uid is None or not waiting.readable([fd], 0.0):
                # closed since we heard of it; the number may mean another process by now, or something else
                return
            tracked = self._tracked.get(uid)
            if tracked is not None and fd in tracked.fds:
                tracked.fds.remove(fd)
            self._close(fd)
        if tracked is not None:
            self._look([tracked.key], False)

    def _limits_written(self, paths: Iterable[str]) -> None:
        with self._guard:
            uids = {self._by_file[path] for path in paths if path in self._by_file}
            keys = [self._tracked[uid].key for uid in uids if uid in self._tracked]
        if keys:
            self._look(keys, True)

    def _dirty(self) -> None:
        now = time.monotonic()
        self._dirty_since = self._dirty_since or now
        self._dirty_last = now

    def _pause(self) -> float | None:
        if not self._dirty_since:
            return None
        due = max(self._rested, min(self._dirty_last + _QUIET, self._dirty_since + _AT_MOST))
        return max(0.0, due - time.monotonic())

    def _compare_if_due(self) -> None:
        if self._dirty_since and self._pause() == 0.0:
            self._dirty_since = 0.0
            began = time.monotonic()
            try:
                self.compare()
            except (errors.PydockError, OSError) as error:
                log.warning("cannot compare the host with what it should be, trying again: %s", error)
                # one more wait than usual, so that what fails at once does not spin
                time.sleep(_AGAIN)
                self._dirty()
            ended = time.monotonic()
            self._rested = ended + min(_REST_MOST, _REST * (ended - began))

    def compare(self) -> None:
        """One pass over links, rules and mounts; keys of objects around which something is amiss are looked at
        closely."""
        with self._guard:
            tracked = dict(self._tracked)
        networks = [each.watched.network for each in tracked.values() if each.watched.network]
        endpoints = [each.watched.endpoint for each in tracked.values() if each.watched.endpoint]
        broken_networks, broken_endpoints = self._parts.network.drift(networks, endpoints)
        amiss = set(broken_networks) | set(broken_endpoints)
        mounted = self._parts.graph_driver.mounts()
        amiss |= {uid for uid, each in tracked.items() if each.watched.mount and each.watched.mount not in mounted}
        keys = sorted({tracked[uid].key for uid in amiss if uid in tracked})
        # what others hang on first: they are found whole again, or not, by their own look
        if keys:
            self._look(sorted(keys, key=lambda key: kinds.rank(key.kind)), True)

    def _refresh_network_fds(self) -> None:
        present = frozenset(self._parts.network.event_fds())
        for fd in self._network_fds - present:
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(fd)
        for fd in present - self._network_fds:
            with contextlib.suppress(OSError):
                self._epoll.register(fd, select.EPOLLIN)
        self._network_fds = present
