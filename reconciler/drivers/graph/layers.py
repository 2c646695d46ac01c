"""Layers: unpacked diffs, each a directory of a short fixed name, with one record a chain id.

``layers/NAME/`` is the tree; NAME is 16 characters made of the chain id, so that many fit into one mount call.
``chains/HEX`` is the record, and writing it is the commit: a tree without a record is a leftover. A new layer is filled
below ``tmp/``, checked against its diff id and renamed; then its file system is synced (``syncfs``, once a layer), then
it is recorded. The next layer may be filled on top of it before it is settled so.

Overlay's layers hold only what they bring, so that many can be unpacked before those below them are: ``prepare``.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Literal

from reconciler import errors, failpoints
from reconciler.drivers.graph import chains, comparing, extraction, files, records, syscalls, volumes
from reconciler.drivers.graph.prepared import Prepared
from reconciler.drivers.graph.records import Record
from reconciler.model import references

Form = Literal["overlay", "applied"]
_NOTHING = "empty"


class Layers:
    """The directory of layers. With form *overlay* a tree is the diff, with overlay's marks; with form *applied* it is
    the whole file system up to that layer."""

    def __init__(
        self, root: str, temporaries: str, form: Form, limits: extraction.Limits, trees: volumes.Volumes
    ) -> None:
        self.directory = os.path.join(root, "layers")
        self._temporaries, self._form, self._limits, self._trees = temporaries, form, limits, trees
        self._settling, self._placing = threading.Lock(), threading.Lock()
        #: held while a tree is put in another's place, and while trees are mounted
        self.standing = threading.Lock()
        #: filled and verified by this process, and not yet recorded
        self._filled: dict[str, Record] = {}
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        self._records = records.Records(os.path.join(root, "chains"), temporaries)

    def clean(self) -> None:
        """Removes trees that were never recorded: what a crash left."""
        known = {_NOTHING, *(chains.short_name(chain) for chain in self.all())}
        for name in os.listdir(self.directory):
            if name not in known:
                self._trees.remove(os.path.join(self.directory, name))

    def has(self, chain: str) -> bool:
        return self._records.has(chain)

    def all(self) -> tuple[str, ...]:
        return self._records.all()

    def path(self, chain: str) -> str:
        """The tree's directory. Raises ``NotFound`` for a layer that is not here."""
        self.record(chain)  # the tree is whole only then
        return self._tree(chain)

    def record(self, chain: str) -> Record:
        """What was recorded of a layer. Raises ``NotFound``, or ``Permanent`` for a damaged record."""
        return self._records.read(chain)

    def parents(self, chain: str) -> list[str]:
        """The chain ids below ``chain``, nearest first."""
        found = []
        while chain := self.record(chain).parent:
            found.append(chain)
        return found

    def prepare(self, chain: str, parent: str, diff_id: str, blob: extraction.Opener) -> Prepared | None:
        """Unpacks ``blob`` although the layers below may not be filled yet; ``fill`` then takes it. None if that cannot
        be, because of the form or of what the layer needs of those below, or if it fails: its turn tells why then. The
        lowest one raises as ``fill``."""
        _check_chain(chain, parent, diff_id)
        if self._form != "overlay" or chain in self._filled or self.has(chain):
            return None
        aside = files.temporary(self._temporaries, "layer")
        done = None
        try:
            self._trees.make(aside)
            layer = extraction.Layer(
                blob, aside, self.directory, [], diff_id, overlay=True, lowest=not parent, ahead=bool(parent)
            )
            done = extraction.run(layer, self._limits)
            return Prepared(chain, aside, done, self._trees) if done is not None else None
        except errors.PydockError:
            if parent:  # it may be right on top of what is below
                return None
            raise
        except OSError as error:
            raise _failed(chain, error) from error
        finally:
            if done is None:
                self._trees.remove(aside)

    def fill(
        self, chain: str, parent: str, diff_id: str, blob: extraction.Opener, prepared: Prepared | None = None
    ) -> int:
        """Unpacks ``blob`` into the layer's tree, or takes what was ``prepared``; nobody sees it before ``settle``.
        Returns the bytes used; already there: no effect."""
        _check_chain(chain, parent, diff_id)
        if chain in self._filled or self.has(chain):
            return self._known(chain).size
        lower = self._lower(parent)
        aside = prepared.path if prepared else files.temporary(self._temporaries, "layer")
        try:
            if prepared and prepared.put_on([self._tree(each) for each in lower]):
                size = prepared.result.size
            else:
                self._trees.remove(aside)
                size = self._unpack(aside, lower, diff_id, blob)
            failpoints.hit("graph.layer.fill.after")
            with self._placing:
                if chain in self._filled or self.has(chain):
                    return self._known(chain).size  # another was faster, and may be mounted by now
                path = self._tree(chain)
                self._trees.remove(path)
                os.rename(aside, path)
                self._filled[chain] = Record(parent, diff_id, size)
            failpoints.hit("graph.layer.name.after")
        except OSError as error:
            raise _failed(chain, error) from error
        finally:
            self._trees.remove(aside)
        return size

    def settle(self, chain: str) -> None:
        """Makes a filled layer durable and seen; its parent must be so before. Already there: no effect. A layer that
        cannot be synced is dropped: what of it has reached the disk nobody could tell."""
        with self._settling:
            record = self._filled.get(chain)
            if record is None:
                self.record(chain)
                return
            try:
                if record.parent:
                    self.record(record.parent)
                self._commit(chain, record)
            except (errors.PydockError, OSError) as error:
                self._trees.remove(self._tree(chain))
                if isinstance(error, OSError):
                    raise _failed(chain, error) from error
                raise
            finally:
                del self._filled[chain]

    def _sync(self) -> None:
        with _opened(self.directory) as descriptor:
            syscalls.syncfs(descriptor)

    def _commit(self, chain: str, record: Record) -> None:
        self._sync()
        failpoints.hit("graph.layer.sync.after")
        self._records.write(chain, record)
        failpoints.hit("graph.layer.record.after")

    def check(self, chain: str, blob: extraction.Opener) -> list[str]:
        """What is wrong with a layer, in words: compared with what ``blob`` unpacks to now. Those below must
        be whole."""
        try:
            record = self.record(chain)
        except errors.Permanent as error:
            return [error.message]
        if not os.path.isdir(self._tree(chain)):
            return ["its tree is missing"]
        with self._again(chain, record, blob) as fresh:
            return comparing.differences(self._tree(chain), fresh)

    def renew(self, chain: str, blob: extraction.Opener) -> None:
        """Puts what ``blob`` unpacks to in the place of a layer's tree, at once. Nobody may have it mounted."""
        record = self.record(chain)
        with self._again(chain, record, blob) as fresh:
            try:
                self._sync()
                failpoints.hit("graph.layer.renew.before")
                if os.path.lexists(self._tree(chain)):
                    syscalls.exchange(fresh, self._tree(chain))
                else:
                    os.rename(fresh, self._tree(chain))
                failpoints.hit("graph.layer.renew.after")
                files.sync_directory(self.directory)
            except OSError as error:
                raise _failed(chain, error) from error

    @contextlib.contextmanager
    def _again(self, chain: str, record: Record, blob: extraction.Opener) -> Iterator[str]:
        """A layer unpacked anew, for a while."""
        if chain != chains.chain_id(record.parent, record.diff_id):
            raise errors.Permanent(f"the record of layer {chain} is not its own: remove and pull the image again")
        aside = files.temporary(self._temporaries, "layer")
        try:
            self._unpack(aside, self._lower(record.parent), record.diff_id, blob)
            yield aside
        except OSError as error:
            raise _failed(chain, error) from error
        finally:
            self._trees.remove(aside)

    def _known(self, chain: str) -> Record:
        return self._filled.get(chain) or self.record(chain)

    def _lower(self, chain: str) -> list[str]:
        """The chain ids from ``chain`` down, filled ones too."""
        found = []
        while chain:
            found.append(chain)
            chain = self._known(chain).parent
        return found

    def _unpack(self, target: str, lower: list[str], diff_id: str, blob: extraction.Opener) -> int:
        copied = self._tree(lower[0]) if self._form == "applied" and lower else ""
        if copied:
            self._trees.copy(copied, target)
        else:
            self._trees.make(target)
        names = [chains.short_name(chain) for chain in lower] if self._form == "overlay" else []
        overlay = self._form == "overlay"
        layer = extraction.Layer(
            blob, target, self.directory, names, diff_id, overlay=overlay, lowest=not lower, copied=copied
        )
        result = extraction.run(layer, self._limits)
        assert result is not None
        for path in result.opaque:
            mark_opaque(target, path)
        return result.size

    def nothing(self) -> str:
        """The name of an empty directory, to stack where there is no layer."""
        os.makedirs(os.path.join(self.directory, _NOTHING), mode=0o755, exist_ok=True)
        return _NOTHING

    def remove(self, chain: str) -> None:
        """The record goes first: what is left after a crash is a leftover."""
        self._filled.pop(chain, None)
        self._records.remove(chain)
        failpoints.hit("graph.layer.remove.record.after")
        self._records.sync()
        aside = files.temporary(self._temporaries, "gone")
        try:
            os.rename(self._tree(chain), aside)
        except FileNotFoundError:
            return
        failpoints.hit("graph.layer.remove.name.after")
        self._trees.remove(aside)

    def _tree(self, chain: str) -> str:
        return os.path.join(self.directory, chains.short_name(chain))


def _check_chain(chain: str, parent: str, diff_id: str) -> None:
    if chain != chains.chain_id(parent, references.check_digest(diff_id)):
        raise errors.Invalid(f"layer {chain} is not what its parent and diff id make")


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _failed(chain: str, error: OSError) -> errors.Temporary:
    return errors.Temporary(f"storing layer {chain}: {error.strerror}", delay=30)


def mark_opaque(target: str, path: bytes) -> None:
    """Sets overlay's mark on a directory of a new layer, walking to it through no link. It may be gone again."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(target, flags)
    try:
        for name in path.split(b"/"):
            below = os.open(name, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        os.setxattr(descriptor, "trusted.overlay.opaque", b"y")
    except (FileNotFoundError, NotADirectoryError):
        return
    finally:
        os.close(descriptor)
