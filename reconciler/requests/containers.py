"""What only containers have: logs, hand edits beside what their owner wrote, and images made of them."""

from __future__ import annotations

from typing import Annotated, Literal

from reconciler.requests.archives import ImageConfig
from reconciler.requests.declaration import CONTAINER, Access, Ask, MaybeReference, Request, Words, named


class Act(Request, frozen=True):
    """Stops, starts or restarts a container by hand → ``{"object": object}``."""

    namespace: str
    name: str
    action: Literal["stop", "start", "restart"]


class Kill(Request, frozen=True):
    """Sends a signal to the first process of a running container → ``{"object": object}``. ``signal`` is a name or a
    number. What is wanted of the container stays as it is: whether it is started again is for its restart policy."""

    namespace: str
    name: str
    signal: Annotated[str, named("signal", max_length=32)] = "KILL"


class Logs(Request, frozen=True):
    """The log of a container: writes its bytes (stdout and stderr as they were written) to the passed descriptor →
    ``{}``. ``tail`` is the number of last lines (-1: all); ``timestamps`` puts RFC 3339 times before the lines;
    ``follow`` goes on until the container is gone or the caller leaves. ``since_time`` (RFC 3339) or ``since_seconds``
    before now leaves out earlier lines; ``previous`` asks for the run before the latest one. ``mark_with``: where
    another incarnation of the container begins, a line of ours that starts with this text says so; empty: none does."""

    namespace: str
    name: str
    tail: Annotated[int, named("tailLines", ge=-1)] = -1
    follow: bool = False
    timestamps: bool = False
    since_time: Annotated[str, named("sinceTime", max_length=64)] = ""
    since_seconds: Annotated[int, named("sinceSeconds", ge=0)] = 0
    previous: bool = False
    mark_with: Annotated[str, named("markWith", pattern="^[0-9A-Za-z]{0,64}$")] = ""


class Commit(Request, frozen=True):
    """Makes an image of a container: its image, and what it changed in its files. ``reference`` empty: the image gets
    no name. Streams as ``ImageLoad`` does; ``reference`` of an image without a name is its digest."""

    namespace: str
    name: str
    reference: MaybeReference = ""
    author: Words = ""
    message: Words = ""
    config: ImageConfig = ImageConfig()


ASKS = (
    Ask("override", Act, "POST", f"{CONTAINER}/{{action}}", Access("update", "containers/state"), "writing.act",
        reply="object"),
    Ask("signal", Kill, "POST", f"{CONTAINER}/kill", Access("update", "containers/state"), "killing.kill",
        reply="object"),
    Ask("logs", Logs, "GET", f"{CONTAINER}/log", Access("get", "containers/log"), "logs.logs",
        reply="bytes", descriptor="out"),
    Ask("commit", Commit, "POST", f"{CONTAINER}/commit", Access("create", "containers/commit"), "committing.commit",
        reply="lines", journal=True),
)  # fmt: skip
