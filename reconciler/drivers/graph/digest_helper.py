"""The helper that finds a layer's diff id: it unpacks the blob's bytes behind walls, and keeps none of them.

It reads a request (JSON) from standard input and writes one JSON object to standard output: ``{"diff_id"}``, or
``{"error"}``. All that it sees of the host is an empty directory.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, NoReturn, TypedDict

from reconciler.drivers.graph import confine, decompress


class Request(TypedDict):
    """``blob``: the inherited descriptor of the layer; ``place``: the empty directory; ``seconds``: processor time at
    most."""

    blob: int
    place: str
    max_bytes: int
    seconds: int
    parent: int


def main(arguments: list[str]) -> NoReturn:
    """Ends the process with status 0, or 1 with an ``error`` on standard output."""
    request: Request = json.load(sys.stdin)
    try:
        result = _run(request)
    except Exception as error:  # noqa: BLE001 - a traceback could not be printed behind the walls
        result = {"error": str(error) or type(error).__name__}
    os.write(sys.stdout.fileno(), json.dumps(result).encode())
    os._exit(1 if "error" in result else 0)  # nothing of the interpreter's own end is needed behind the walls


def _run(request: Request) -> dict[str, Any]:
    confine.die_with(request["parent"])
    decompress.load(request["blob"])
    confine.leave_host()
    confine.enter(confine.view(request["place"], read_only=True), seconds=request["seconds"], file_size=0)
    stream = decompress.Stream(request["blob"], request["max_bytes"])
    confine.stay_alone()
    return {"diff_id": f"sha256:{stream.drain()}"}
