"""Objects, observed states and images for tests of stores."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler.kinds.container.observed import Attachment, ContainerObserved, Incarnation
from reconciler.kinds.container.spec import ContainerSpec
from reconciler.model.keys import Key
from reconciler.model.objects import Desired, Owner
from reconciler.model.observed import Condition
from reconciler.model.view import ImageFacts
from reconciler.store.base import Session

FILE = Owner("dir:/etc/pydock.d", "web.yaml")
API = Owner("api", "kubectl")
SPEC: dict[str, Any] = {
    "image": "docker.io/library/nginx:1.25",
    "env": [{"name": "GREETING", "value": "grüß Gott \x00 \"quoted\" '\\'"}],
    "ports": [{"containerPort": 80, "hostPort": 8080}],
}


def key(name: str = "web") -> Key:
    """A container of the default namespace."""
    return Key.of("container", name)


def create(session: Session, name: str = "web", owner: Owner = FILE, now: float = 1700000000.125) -> Desired:
    """A container, made in ``session``."""
    return session.objects.create(key(name), {"app": name}, {"note": "a, b"}, SPEC, owner, now)


def running(uid: str, pid: int = 4711) -> ContainerObserved:
    """What is seen of a container that runs."""
    effective = msgspec.convert(SPEC, ContainerSpec)
    incarnation = Incarnation(
        f"{uid}.1", 1, SPEC, effective, {"app": "web"}, "sha256:" + "a" * 64, "sha256:" + "b" * 64
    )
    attachment = Attachment("net", "default", "eth0", "pdv0", "10.88.0.5", 16, "10.88.0.1", "02:70:0a:58:00:05")
    return ContainerObserved(
        incarnation=incarnation,
        attachments=(attachment,),
        process="running",
        pid=pid,
        pid_start=123456789,
        started_at=1700000001.875,
        started_mono=17.3125,
        starts=1,
        observed_generation=1,
        conditions=(Condition("Ready", "True", "Running", "", 1700000002.5),),
        phase="Running",
    )


def image(reference: str, number: int, layers: int = 2) -> tuple[ImageFacts, list[str], list[str]]:
    """Facts, blobs and chain of an image; images of all numbers share their lowest layer."""
    digest = f"sha256:{number:064x}"
    image_id = f"sha256:{number + 1000:064x}"
    chain = ["sha256:base", *(f"sha256:{number}-{layer}" for layer in range(1, layers))]
    blobs = [digest, image_id, "blob:base", *(f"blob:{number}-{layer}" for layer in range(1, layers))]
    facts = ImageFacts(reference, digest, image_id, 1234, chain[-1], tuple(blobs[2:]), cmd=("sh",), env=("A=b",))
    return facts, blobs, chain
