"""What a container's spec says about starting and stopping its process."""

from __future__ import annotations

import signal
from typing import Any

from reconciler import errors
from reconciler.kinds.container.observed import ContainerObserved, Incarnation
from reconciler.kinds.container.spec import ContainerSpec
from reconciler.kinds.container.tasks import Stop
from reconciler.model import fields, signals
from reconciler.model.objects import Desired
from reconciler.model.view import ImageFacts

_DEFAULTS = ContainerSpec(image="")


def wants_start(desired: Desired, observed: ContainerObserved) -> bool:
    """Whether a container whose process does not run is to be started: always the first time, then by its restart
    policy.

    ``observed`` must be this boot's: what ran when the host went down has not been started yet, what had ended has.
    """
    if observed.process != "exited" and not observed.starts:
        return True
    policy = setting(desired, observed.incarnation, "restartPolicy")
    return policy == "Always" or (policy == "OnFailure" and not succeeded(observed))


def succeeded(observed: ContainerObserved) -> bool:
    return observed.process == "exited" and observed.exit_reason == "exited" and observed.exit_code == 0


def setting(desired: Desired, incarnation: Incarnation | None, field: str) -> Any:
    """A field that takes effect in place: as written, or else by the defaults that were in force when the container
    was made.
    """
    if field in desired.spec:
        return desired.spec[field]
    source = incarnation.effective if incarnation is not None and field not in incarnation.written else _DEFAULTS
    return fields.of(ContainerSpec).fields[field].value(source, field)


def stop(desired: Desired, made: Incarnation, facts: ImageFacts | None) -> Stop:
    """How the process is asked to end: the spec's signal, the image's, or SIGTERM (a number); the grace in seconds.

    ``facts`` are those of the image's reference, which by now may mean another image.
    """
    asked = desired.deleting_grace
    of_image = facts.stop_signal if facts is not None and facts.image_id == made.image_id else ""
    return Stop(
        signal=signal_number(setting(desired, made, "stopSignal") or of_image),
        grace=asked if asked is not None else setting(desired, made, "terminationGracePeriodSeconds"),
    )


def signal_number(text: str | int) -> int:
    """The number of the signal that ``text`` names; what names none (images can hold anything) is SIGTERM."""
    try:
        return signals.number(text)
    except errors.Invalid:
        return int(signal.SIGTERM)


def exit_text(observed: ContainerObserved) -> str:
    """How the last run ended."""
    if observed.exit_reason == "oom":
        return "it ran out of memory"
    if observed.exit_reason == "signal":
        return f"it was ended by signal {observed.exit_signal}"
    if observed.process == "exited" and observed.exit_code is not None:
        return f"it exited with code {observed.exit_code}"
    return "its process is gone"
