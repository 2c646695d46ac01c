"""What the steps of containers share: the claimed state, its facts, and how it is changed."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

import msgspec

from reconciler import errors, manifest
from reconciler.drivers.network.base import EndpointConfig
from reconciler.engine.parts import Parts
from reconciler.kinds.container import runs
from reconciler.kinds.container.observed import ContainerObserved, Incarnation
from reconciler.kinds.container.spec import ContainerSpec
from reconciler.kinds.network.effects import config as network_config
from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.model.plan import Step
from reconciler.model.view import Entry, ImageFacts
from reconciler.store.base import Session

_UID = re.compile(r"container [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Claim(NamedTuple):
    """A container as it was when its step was claimed: all that the step works on. ``task`` is the step's."""

    task: Any
    desired: Desired
    observed: ContainerObserved
    endpoint: EndpointConfig

    @property
    def uid(self) -> str:
        return self.desired.uid

    @property
    def incarnation(self) -> Incarnation:
        if self.observed.incarnation is None:
            raise errors.Conflict(f"{self.desired.key} has not been created")
        return self.observed.incarnation


def claim(parts: Parts, session: Session, step: Step, entry: Entry) -> Claim:
    """Writes nothing: what the step needs is in the store already."""
    observed = runs.observed_of(entry)
    return Claim(step.task, step.desired, observed, network_config.endpoint(session, step.uid, observed))


def change(parts: Parts, uid: str, **changes: Any) -> None:
    """Writes fields into the present observed state; nothing if the object is gone."""
    with parts.store.transaction(durable=False) as session:
        observed = session.observed.get(uid)
        if isinstance(observed, ContainerObserved):
            session.observed.put(uid, msgspec.structs.replace(observed, **changes))


def image(session: Session, key: Key, image_id: str) -> ImageFacts:
    facts = session.images.by_id(image_id)
    if facts is None:
        raise errors.Outdated(f"{key}: the image {image_id} is no longer here")
    return facts


def effective(desired: Desired) -> ContainerSpec:
    found = manifest.effective("Container", desired.spec)
    assert isinstance(found, ContainerSpec)
    return found


def wire(parts: Parts, endpoint: EndpointConfig) -> None:
    """Makes sure of namespace, interfaces and ports. The driver knows containers by uid only: people by name."""
    try:
        parts.network.ensure_endpoint(endpoint)
    except errors.Conflict as error:
        with parts.store.snapshot() as session:
            raise errors.Conflict(_UID.sub(lambda found: _name_of(session, found[0]), error.message)) from None


def log_dir(parts: Parts, uid: str) -> str:
    """The directory of an object's logs: they live as long as the object."""
    return os.path.join(parts.log_dir, uid)


def _name_of(session: Session, uid: str) -> str:
    """``container/default/web`` for its uid; what is nobody's stays as it is."""
    desired = session.objects.get(uid.removeprefix("container "))
    return str(desired.key) if desired is not None else uid
