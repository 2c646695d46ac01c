"""Running the extraction helper: the daemon's side of ``extract``.

The helper may have been taken over by what it reads, so nothing it answers is trusted further than it is checked:
the answer is bounded, the digest compared, and its paths are walked through no link.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, NamedTuple

from reconciler import errors, helper
from reconciler.drivers.graph import files
from reconciler.model import references

_ANSWER = 64 << 20
#: opens a blob; raises ``NotFound``
Opener = Callable[[], BinaryIO]


class Limits(NamedTuple):
    """Quota of one layer. Besides, it may take nine tenths of the free space and of the free inodes at most."""

    bytes: int = 256 << 30
    entries: int = 8_000_000


class Layer(NamedTuple):
    """What to unpack: see ``extract.Request``."""

    blob: Opener
    target: str
    layers: str
    lower: Sequence[str]
    diff_id: str
    overlay: bool
    lowest: bool
    ahead: bool = False


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
        answer = _ask("extract", request(layer, limits, file.fileno()), file.fileno())
    return result(layer, answer)


def result(layer: Layer, answer: dict[str, Any]) -> Result | None:
    """The helper's answer, checked. Raises as ``run``."""
    if "error" in answer:
        kind = errors.Temporary if answer.get("retry") else errors.Permanent
        raise kind(f"layer {layer.diff_id} cannot be unpacked: {answer['error']}")
    if layer.ahead and answer.get("needed"):
        return None
    if answer["diff_id"] != layer.diff_id:
        raise errors.Permanent(
            f"the layer's content does not match its diff id: expected {layer.diff_id}, found {answer['diff_id']}"
        )
    return Result(
        size=int(answer["size"]),
        opaque=[bytes.fromhex(path) for path in answer["opaque"]],
        rooted=bool(answer["rooted"]),
        implied=[(bytes.fromhex(path), bool(bare)) for path, bare in answer["implied"]],
    )


def diff_id(blob: Opener, temporaries: str, limits: Limits) -> str:
    """The digest of the archive in the blob. ``temporaries``: where an empty directory can be made,
    which is all that the helper sees. Raises as ``run``."""
    place = files.temporary(temporaries, "digest")
    with blob() as file:
        os.mkdir(place, 0o700)
        try:
            request = {"blob": file.fileno(), "place": place, "max_bytes": limits.bytes, "parent": os.getpid()}
            answer = _ask("digest", request, file.fileno())
        finally:
            os.rmdir(place)
    if "error" in answer:
        raise errors.Permanent(f"it cannot be read: {answer['error']}")
    try:
        return references.check_digest(str(answer["diff_id"]))
    except (errors.Invalid, KeyError):
        raise errors.Permanent("it cannot be read: the helper's answer makes no sense") from None


def request(layer: Layer, limits: Limits, descriptor: int) -> dict[str, Any]:
    """What the helper is asked: see ``extract.Request``."""
    space = os.statvfs(layer.target)
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
        "max_bytes": min(limits.bytes, space.f_bavail * space.f_frsize * 9 // 10),
        "max_entries": entries,
        "parent": os.getpid(),
    }


def _ask(name: str, request: dict[str, Any], descriptor: int) -> dict[str, Any]:
    """Runs the helper to its end; its words if it has no answer."""
    process = subprocess.Popen(
        helper.command(name),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(descriptor,),
        cwd="/",
        env={},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(request).encode())
                process.stdin.close()
            output = process.stdout.read(_ANSWER)
            if len(output) == _ANSWER:
                process.kill()
        except BaseException:
            process.kill()
            raise
    return _answer(output, process.returncode)


def _answer(output: bytes, status: int) -> dict[str, Any]:
    try:
        answer = json.loads(output)
    except ValueError:
        last = output[-300:].decode(errors="replace").strip().rpartition("\n")[2]
        return {"error": f"the helper ended with status {status}: {last or 'no word'}", "retry": status < 0}
    return answer if isinstance(answer, dict) else {"error": "the helper's answer makes no sense", "retry": False}
