"""The pulls that are under way and how far each has come: in memory, so that it costs the store nothing.

What is stored of an object says that its image is being pulled; how much of it is here is put in when somebody reads.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from reconciler.model import kinds, references, sizes

#: the rate is that of the last so many seconds, from a count taken this often
_WINDOW, _SAMPLE = 3.0, 0.25
#: why a container that waits for its image is not ready
_LACKING = frozenset({"Pulling", "ImagePullBackOff"})


class _Layer(NamedTuple):
    status: str
    current: int
    total: int


class Mark:
    """How much of a pull somebody has been told."""

    def __init__(self) -> None:
        self.told = 0
        self.counts: dict[str, int] = {}


class PullProgress:
    """One pull. Safe for threads. ``job`` is its number in the journal."""

    def __init__(self, reference: str, job: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.reference, self.job = reference, job
        self._clock = clock
        self._guard = threading.Lock()
        self._layers: dict[str, _Layer] = {}
        self._states: list[dict[str, Any]] = []
        self._fetched = 0
        self._samples: deque[tuple[float, int]] = deque([(clock(), 0)])

    def report(self, status: str, layer: str, current: int, total: int) -> None:
        """``layer`` is a digest, or empty for what is about the whole image; the rest in bytes."""
        with self._guard:
            before = self._layers.get(layer)
            self._layers[layer] = _Layer(status, current, total)
            if before is None or before.status != status:
                self._states.append({"status": status, "layer": layer, "current": current, "total": total})
            if status == "downloading":
                self._count(current - (before.current if before is not None else 0))

    def _count(self, fetched: int) -> None:
        self._fetched += max(fetched, 0)
        now = self._clock()
        if now - self._samples[-1][0] >= _SAMPLE:
            self._samples.append((now, self._fetched))
        while len(self._samples) > 2 and now - self._samples[1][0] > _WINDOW:
            self._samples.popleft()

    def since(self, mark: Mark) -> list[dict[str, Any]]:
        """Every change of state after ``mark``, and how far downloads have come if that has changed; moves it on."""
        with self._guard:
            items = self._states[mark.told :]
            mark.told = len(self._states)
            for digest, layer in self._layers.items():
                if layer.status == "downloading" and mark.counts.get(digest, 0) != layer.current:
                    mark.counts[digest] = layer.current
                    items.append({"status": layer.status, "layer": digest, **_sizes(layer)})
        return items

    def summary(self) -> dict[str, Any]:
        """All of it as ``status.progress`` shows it: sums over the layers that have to be fetched, and each layer."""
        with self._guard:
            layers = {digest: layer for digest, layer in self._layers.items() if digest}
            now, (then, before), fetched = self._clock(), self._samples[0], self._fetched
        missing = [layer for layer in layers.values() if layer.status != "exists"]
        current, total = sum(layer.current for layer in missing), sum(layer.total for layer in missing)
        return {
            "reference": self.reference,
            "current": current,
            "total": total,
            "percent": current * 100 // total if total else 0,
            "bytesPerSecond": int((fetched - before) / max(now - then, _SAMPLE)),
            "layers": [{"digest": digest, "status": layer.status, **_sizes(layer)} for digest, layer in layers.items()],
        }


def _sizes(layer: _Layer) -> dict[str, int]:
    return {"current": layer.current, "total": layer.total}


def told(summary: dict[str, Any]) -> str:
    """A summary in words."""
    reference, total = summary["reference"], summary["total"]
    if not summary["layers"]:
        return f"pulling {reference}: asking its registry"
    if summary["current"] < total:
        rate = f"{sizes.text(summary['bytesPerSecond'])}/s"
        return f"pulling {reference}: {summary['percent']}% of {sizes.text(total)}, {rate}"
    left = sum(layer["status"] not in ("exists", "unpacked") for layer in summary["layers"])
    return f"pulling {reference}: all {sizes.text(total)} are here, {left} of its layers to unpack"


class RunningPulls:
    """What is under way, by normalised reference."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._running: dict[str, PullProgress] = {}
        self._followers: dict[str, list[Follower]] = {}

    @contextmanager
    def begun(self, reference: str, job: int) -> Iterator[PullProgress]:
        """The one pull of that reference, while the block runs."""
        pull = PullProgress(reference, job)
        with self._guard:
            self._running[reference] = pull
            for follower in self._followers.get(reference, ()):
                follower.begun(pull)
        try:
            yield pull
        finally:
            with self._guard:
                del self._running[reference]

    @contextmanager
    def followed(self, reference: str) -> Iterator[Follower]:
        """Hears of each pull of that reference, while the block runs."""
        with self._guard:
            follower = Follower(self._running.get(reference))
            self._followers.setdefault(reference, []).append(follower)
        try:
            yield follower
        finally:
            with self._guard:
                self._followers[reference].remove(follower)
                if not self._followers[reference]:
                    del self._followers[reference]

    def of(self, reference: str) -> PullProgress | None:
        return self._running.get(reference)

    def of_job(self, number: int) -> PullProgress | None:
        with self._guard:
            return next((each for each in self._running.values() if each.job == number), None)

    def __bool__(self) -> bool:
        """Whether any is under way."""
        return bool(self._running)

    def concerning(self, kind: str, spec: dict[str, Any]) -> PullProgress | None:
        """The pull of the image that an object keeps or is made from."""
        if not self._running or kind not in (kinds.IMAGE.name, kinds.CONTAINER.name):
            return None
        return self.of(references.normalised(str(spec["reference" if kind == kinds.IMAGE.name else "image"])))

    def put_into(self, obj: dict[str, Any]) -> dict[str, Any]:
        """The object as the API shows it, with how far its image has come if that is being pulled."""
        pull = self.concerning(obj["kind"], obj["spec"])
        if pull is None:
            return obj
        status = obj["status"]
        found: list[dict[str, Any]] = status.get("conditions") or []
        if obj["kind"] == kinds.CONTAINER.name and not any(each["reason"] in _LACKING for each in found):
            return obj
        summary = pull.summary()
        pulling = {"reason": "Pulling", "message": told(summary)}
        conditions = [
            {**each, **pulling} if each["type"] == "Ready" and each["status"] != "True" else each for each in found
        ]
        return {**obj, "status": {**status, "conditions": conditions, "progress": summary}}


class Follower:
    """Tells one caller of a reference's pulls, one after another, however short they are."""

    def __init__(self, present: PullProgress | None) -> None:
        self._followed = [] if present is None else [(present, Mark())]

    def begun(self, pull: PullProgress) -> None:
        self._followed.append((pull, Mark()))

    def news(self) -> list[dict[str, Any]]:
        """What there is to tell since it was last asked for: the items of a `pydock pull`."""
        followed = list(self._followed)
        return [item for pull, mark in followed for item in pull.since(mark)]
