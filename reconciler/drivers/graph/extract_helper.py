"""The extraction helper: unpacks one layer behind walls, and says what came of it.

It reads a request (JSON) from standard input and writes one JSON object to standard output:
``{"diff_id", "size", "opaque": [path as hexadecimal, …], "rooted", "implied": [[path, bool], …]}`` (see
``extraction.Result``), or ``{"error", "retry"}``, or ``{"needed"}`` for a layer that cannot do without those below. It
opens no file by a name from the archive, has no network, and dies with its parent.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, NoReturn, TypedDict

from reconciler.drivers.graph import (
    budget,
    confine,
    decompress,
    entries,
    layer_tree,
    overlayfs,
    syscalls,
    tar,
    unpack,
)


class Request(TypedDict):
    """``blob``: the inherited descriptor of the compressed layer; ``target``: the directory to fill; ``layers`` and
    ``lower``: the directory of layers and the names in it below this one, top first; ``lowest``: there is none;
    ``ahead``: they are not known yet; ``overlay``: the form of whiteouts; ``seconds``: processor time at most."""

    blob: int
    target: str
    layers: str
    lower: list[str]
    overlay: bool
    lowest: bool
    ahead: bool
    algorithm: str
    max_bytes: int
    max_entries: int
    seconds: int
    parent: int


def main(arguments: list[str]) -> NoReturn:
    """Ends the process with status 0, or 1 with an ``error`` on standard output."""
    request: Request = json.load(sys.stdin)
    try:
        result = _run(request)
    except layer_tree.Needed:
        result = {"needed": True}
    except (unpack.Full, MemoryError) as error:
        result = {"error": str(error) or (type(error).__doc__ or "").strip(), "retry": True}
    except (layer_tree.Refused, tar.Malformed, decompress.Damaged, decompress.TooLarge, OSError) as error:
        result = {"error": str(error), "retry": False}
    except Exception as error:  # noqa: BLE001 - a traceback would be looked for in the image's files
        result = {"error": f"{type(error).__name__}: {error}", "retry": False}
    os.write(sys.stdout.fileno(), json.dumps(result).encode())
    os._exit(1 if "error" in result else 0)  # nothing of the interpreter's own end is needed behind the walls


def _run(request: Request) -> dict[str, Any]:
    confine.die_with(request["parent"])
    sys.setrecursionlimit(8 * entries.MAX_DEPTH)
    decompress.load(request["blob"])
    confine.leave_host()
    upper = confine.view(request["target"], read_only=False)
    lower = layer_tree.UNKNOWN if request["ahead"] else lower_view(request)
    confine.enter(upper, seconds=request["seconds"], file_size=request["max_bytes"])
    stream = decompress.Stream(request["blob"], request["max_bytes"], request["algorithm"])
    confine.stay_alone()
    return unpacked(request, stream, upper, lower)


def unpacked(request: Request, stream: decompress.Stream, upper: int, lower: int) -> dict[str, Any]:
    """The answer, after unpacking ``stream`` into the open directory ``upper``. ``lower``: one view of all the layers
    below (see ``lower_view``), or ``layer_tree.UNKNOWN``; both are closed. Raises what ``main`` turns into answers."""
    tree = layer_tree.Tree(upper, lower)
    try:
        quota = budget.Budget(request["max_bytes"], request["max_entries"])
        unpacker = unpack.Unpacker(tree, quota, overlay=request["overlay"], lowest=request["lowest"])
        unpacker.run(tar.Reader(stream))
        digest = stream.drain()
    finally:
        tree.close()
    opaque = [path.hex() for path in sorted(tree.opaque)]
    implied = [(path.hex(), bare) for path, bare in tree.implied.items()]
    return {"diff_id": f"{request['algorithm']}:{digest}", "size": quota.used, "opaque": opaque,
            "rooted": unpacker.rooted, "implied": implied}  # fmt: skip


def lower_view(request: Request) -> int:
    """One read-only view of all the layers below, or -1."""
    layers, names = request["layers"], request["lower"]
    if not names:
        return -1
    if len(names) == 1:
        return confine.view(os.path.join(layers, names[0]), read_only=True)
    try:
        descriptor = overlayfs.detached("pydock", layers, names)
    except OSError:
        # an older kernel: over the target, which is open already, in this process's own mount namespace
        overlayfs.mount("pydock", request["target"], layers, names)
        return confine.view(request["target"], read_only=True)
    syscalls.mount_setattr(descriptor, add=confine.READ_ONLY)
    return confine.reopened(descriptor)
