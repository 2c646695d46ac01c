"""The engine socket: how the API process asks the controller for jobs.

Two ends of a SOCK_SEQPACKET pair, the *control* socket, join the processes. For every job the caller makes a
SOCK_STREAM pair and hands one end over the control socket; on that stream it writes one request frame,
``{"job": name, "args": {…}, "client": bool}``, with descriptors beside it (the client's own socket last), and then only
reads:
``{"state": "accepted"}``, for a streaming job ``{"state": "started"}`` and any number of ``{"item": …}``, and last
``{"result": …}`` or ``{"error": {"class", "message", "problems", "delay"}}``. Closing the stream tells the job to end.

On the control socket both ends also say ``P``: the controller asks for a sign of life, and the API process gives it.

A frame is four bytes of length (big endian) and that much JSON. What a job means is not known here.
"""

from __future__ import annotations

from reconciler.ipc.client import EngineClient, Stream
from reconciler.ipc.frames import CallerLeft
from reconciler.ipc.server import Call, EngineServer

__all__ = ["Call", "CallerLeft", "EngineClient", "EngineServer", "Stream"]
