"""Running the extraction helper: the daemon's side of ``extract_helper``.

The helper may have been taken over by what it reads, so nothing it answers is trusted further than it is checked:
the answer is bounded, the digest compared, its paths lead to what is below the layer's directory only and are walked
through no link.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, NamedTuple

from reconciler import errors
from reconciler.drivers.graph import allowance, files, helper_process
from reconciler.model import references

#: what the slowest unpacker makes of a blob in a second of processor time: bytes, and members
_SLOWEST = 10 << 20, 500
_START = 60
#: opens a blob; raises ``NotFound``
Opener = Callable[[], BinaryIO]


class Limits(NamedTuple):
    """Quota of one layer. Besides, it may take nine tenths of the free space and of the free inodes at most.
    ``patience``: with the helper."""

    bytes: int = 256 << 30
    entries: int = 8_000_000
    patience: helper_process.Patience = helper_process.Patience()


class Layer(NamedTuple):
    """What to unpack: see ``extract_helper.Request``. ``copied``: the tree that ``target`` began as a copy of, or
    empty."""

    blob: Opener
    target: str
    layers: str
    lower: Sequence[str]
    diff_id: str
    overlay: bool
    lowest: bool
    ahead: bool = False
    copied: str = ""


class Result(NamedTuple):
    """``rooted``: the root's owner, mode and time are not those of the layers below. ``implied``: see
    ``layer_tree.Tree``, outer directories first."""

    size: int
    opaque: list[bytes]
    rooted: bool
    implied: list[tuple[bytes, bool]]


def run(layer: Layer, limits: Limits) -> Result | None:
    """Unpacks; None for a layer ``ahead`` that needs those below it.

    Raises ``Permanent`` for an archive that is refused or does not match its diff id, ``Temporary`` where the host is
    at fault."""
    with layer.blob() as file:
        asked = request(layer, limits, file.fileno())
        allowed = allowance.Allowance(layer.target, asked["max_bytes"], asked["max_entries"], layer.copied)
        try:
            answer = helper_process.ask("extract", asked, file.fileno(), allowed.look, limits.patience)
        except errors.PydockError as error:
            raise type(error)(f"layer {layer.diff_id} cannot be unpacked: {error.message}") from None
    return result(layer, answer)


def result(layer: Layer, answer: dict[str, Any]) -> Result | None:
    """The helper's answer, checked. Raises as ``run``."""
    if "error" in answer:
        kind = errors.Temporary if answer.get("retry") else errors.Permanent
        raise kind(f"layer {layer.diff_id} cannot be unpacked: {answer['error']}")
    if layer.ahead and answer.get("needed"):
        return None
    if answer.get("diff_id") != layer.diff_id:
        raise errors.Permanent(
            "the layer's content does not match its diff id: "
            f"expected {layer.diff_id}, found {str(answer.get('diff_id'))[:200]}"
        )
    try:
        return Result(
            size=_size(answer["size"]),
            opaque=[_path(path) for path in answer["opaque"]],
            rooted=bool(answer["rooted"]),
            implied=[(_path(path), bool(bare)) for path, bare in answer["implied"]],
        )
    except (KeyError, ValueError, TypeError):
        raise errors.Permanent(
            f"layer {layer.diff_id} cannot be unpacked: the helper's answer makes no sense"
        ) from None


def _size(number: object) -> int:
    if not isinstance(number, int) or not 0 <= number < 1 << 63:
        raise ValueError
    return number


def _path(digits: object) -> bytes:
    """A path that leads to something below the layer's directory, whoever wrote it."""
    path = bytes.fromhex(str(digits))
    if b"\0" in path or any(name in (b"", b".", b"..") for name in path.split(b"/")):
        raise ValueError
    return path


def diff_id(blob: Opener, temporaries: str, limits: Limits) -> str:
    """The digest of the archive in the blob. ``temporaries``: where an empty directory can be made,
    which is all that the helper sees. Raises as ``run``."""
    place = files.temporary(temporaries, "digest")
    with blob() as file:
        os.mkdir(place, 0o700)
        try:
            asked = {"blob": file.fileno(), "place": place, "max_bytes": limits.bytes, "parent": os.getpid(),
                     "seconds": _seconds(limits.bytes, 0)}  # fmt: skip
            answer = helper_process.ask("digest", asked, file.fileno(), tuple, limits.patience)
        finally:
            os.rmdir(place)
    if "error" in answer:
        raise errors.Permanent(f"it cannot be read: {answer['error']}")
    try:
        return references.check_digest(str(answer["diff_id"]))
    except (errors.Invalid, KeyError):
        raise errors.Permanent("it cannot be read: the helper's answer makes no sense") from None


def request(layer: Layer, limits: Limits, descriptor: int) -> dict[str, Any]:
    """What the helper is asked: see ``extract_helper.Request``."""
    space = os.statvfs(layer.target)
    size = min(limits.bytes, space.f_bavail * space.f_frsize * 9 // 10)
    entries = min(limits.entries, space.f_favail * 9 // 10) if space.f_files else limits.entries
    return {
        "blob": descriptor,
        "target": layer.target,
        "layers": layer.layers,
        "lower": list(layer.lower),
        "overlay": layer.overlay,
        "lowest": layer.lowest,
        "ahead": layer.ahead,
        "algorithm": layer.diff_id.partition(":")[0],
        "max_bytes": size,
        "max_entries": entries,
        "seconds": _seconds(size, entries),
        "parent": os.getpid(),
    }


def _seconds(size: int, entries: int) -> int:
    """Processor time that unpacking so much takes at most."""
    return _START + size // _SLOWEST[0] + entries // _SLOWEST[1]
