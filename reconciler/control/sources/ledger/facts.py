"""The values that a look at a source finds, and those that are decided from them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

import msgspec

from reconciler.model.keys import Key
from reconciler.model.objects import Document

#: changes whenever a file's content may have changed: a file's inode and times, or a Git blob's id
Signature = Hashable


class Patience(NamedTuple):
    """Seconds that a source waits before it believes what it sees. A source whose versions are complete by nature, such
    as a commit, waits for nothing: ``Patience(0, 0, 0, 0)``.

    ``quiet``: a file is read when it has not changed for so long. ``loss``: a version that drops an object or a field
    of what is in force counts after so long. ``cut``: so does one that is what is in force with its end missing, as if
    it had been written by half. ``gone``: what a vanished file held is removed after so long.
    """

    quiet: float = 0.25
    loss: float = 2.0
    cut: float = 5.0
    gone: float = 2.0


class Root(msgspec.Struct, frozen=True):
    """Which directory it is: ``device`` and ``inode`` of it, ``mount`` the id of its mount (of this boot),
    ``filesystem`` an id that survives a reboot."""

    device: int
    inode: int
    mount: int
    filesystem: int
    boot_id: str

    def same_mount(self, other: Root) -> bool:
        """Whether ``other`` is on the same mount, as far as can be told: the directory itself may have been made
        anew."""
        if self.boot_id != other.boot_id:
            return self.device == other.device or self.filesystem == other.filesystem
        return self.device == other.device and (self.mount == other.mount or self.inode == other.inode)


class Seen(NamedTuple):
    """A manifest's file. ``trouble`` says why it cannot be read (then there may be no signature). ``changed_at``: when
    it became what it is (Unix seconds; 0: long ago). ``age``: of two files that claim one object in the same look, the
    one with the lower ``age`` has the older claim: (last written, last changed), nanoseconds of the Unix time."""

    signature: Signature | None
    trouble: str = ""
    changed_at: float = 0.0
    age: tuple[int, int] = (0, 0)


class Content(NamedTuple):
    """What reading a file gave. ``data`` None: it is no longer what the scan saw, or, if ``busy``, a program has it
    open for writing: it is not finished, however long it has been quiet."""

    data: bytes | None
    busy: bool = False


class Scan(msgspec.Struct, frozen=True):
    """One look. Paths are relative to the root, with '/' between parts.

    ``root`` is None, and ``trouble`` says why, when there is no such directory or it cannot be read. ``unreadable``
    maps directories below it to why they cannot; ``mounts`` maps those on another device to it; ``folders`` are all
    directories that were entered, as absolute paths.
    """

    root: Root | None
    trouble: str = ""
    files: dict[str, Seen] = {}
    unreadable: dict[str, str] = {}
    mounts: dict[str, int] = {}
    folders: tuple[str, ...] = ()


class Remark(NamedTuple):
    """What an object's condition ``Source`` says while its file and what is in force differ. ``reason``: ``Invalid``,
    ``Unreadable``, ``Empty``, ``BeingWritten``, ``RemovalHeld`` or ``SecondClaim``."""

    reason: str
    message: str


Remarks = tuple[tuple[Key, Remark | None], ...]


class Holding(NamedTuple):
    """An object in force: who it is, which file holds it, when it was created (Unix seconds), and what its condition
    ``Source`` says (None: there is none)."""

    uid: str
    item: str
    created_at: float
    remark: Remark | None = None


class Put(NamedTuple):
    """A file's new version. With ``problems`` nothing of it is put in force, they are recorded only."""

    path: str
    digest: str
    documents: tuple[Document, ...]
    problems: tuple[str, ...]


class Removal(NamedTuple):
    key: Key
    uid: str
    cause: str


class Decisions(NamedTuple):
    """``contested``: objects of others that a file is refused for, with the message of their event. ``forget``: files
    that are gone and hold nothing. ``memory`` None: nothing to remember anew. ``again_at``: the CLOCK_BOOTTIME second
    at which time alone changes something (None: never)."""

    puts: tuple[Put, ...] = ()
    removals: tuple[Removal, ...] = ()
    contested: tuple[tuple[Key, str], ...] = ()
    forget: tuple[str, ...] = ()
    memory: Memory | None = None
    again_at: float | None = None


class Removed(msgspec.Struct, frozen=True):
    """A removal that the guard still counts. ``fresh``: the object had been created within the window itself."""

    boot_id: str
    mono: float
    key: str
    fresh: bool


class Memory(msgspec.Struct, frozen=True):
    """What a restart must not forget. ``held`` maps the keys of objects whose removal waits to their uids, ``reason``
    says why."""

    root: Root | None = None
    mounts: dict[str, int] = {}
    removed: tuple[Removed, ...] = ()
    held: dict[str, str] = {}
    reason: str = ""
