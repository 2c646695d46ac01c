"""What a look at a directory finds, and what is decided from it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from reconciler.model.keys import Key
from reconciler.model.objects import Document


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


class Signature(NamedTuple):
    """What changes when a file does."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Seen(NamedTuple):
    """A manifest's file. ``trouble`` says why it cannot be read (then there may be no signature)."""

    signature: Signature | None
    trouble: str = ""


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


class Holding(NamedTuple):
    """An object in force: who it is, which file holds it, when it was created (Unix seconds)."""

    uid: str
    item: str
    created_at: float


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
    """``forget``: files that are gone and hold nothing. ``memory`` None: nothing to remember anew. ``again_at``: the
    CLOCK_BOOTTIME second at which time alone changes something (None: never)."""

    puts: tuple[Put, ...] = ()
    removals: tuple[Removal, ...] = ()
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
