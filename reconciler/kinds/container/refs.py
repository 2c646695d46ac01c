"""Whom a container refers to."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model import kinds, references
from reconciler.model import refs as to
from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.model.refs import Ref
from reconciler.model.view import DEFAULT_NETWORK, Entry


def refs(desired: Desired) -> Iterator[Ref]:
    """The image, the networks, and the containers it starts after. A network ``default`` is the namespace's own, or
    else the instance's."""
    yield to.of_image("image", references.normalised(str(desired.spec["image"])))
    written = desired.spec.get("networks")
    namespace = desired.key.namespace
    networks = [Key(kinds.NETWORK.name, namespace, str(item["name"])) for item in written or ()] or [DEFAULT_NETWORK]
    for key in dict.fromkeys(networks):
        yield to.named("network", key)
        if key.name == DEFAULT_NETWORK.name and key != DEFAULT_NETWORK:
            yield to.named("network", DEFAULT_NETWORK, unless=key)
    yield from (to.named("dependsOn", key) for key in orders(desired))


def orders(desired: Desired) -> tuple[Key, ...]:
    """The containers that must have started before this one."""
    kind, namespace, _ = desired.key
    return tuple(Key(kind, namespace, str(item["name"])) for item in desired.spec.get("dependsOn") or ())


def images(entry: Entry) -> Iterator[str]:
    """The reference that its spec names, and the one that it was made from."""
    yield references.normalised(str(entry.desired.spec["image"]))
    if isinstance(entry.observed, ContainerObserved) and entry.observed.incarnation is not None:
        yield references.normalised(entry.observed.incarnation.effective.image)


def uses(observed: ContainerObserved) -> Iterator[Ref]:
    """The networks it has an address in, and the image it was made from."""
    yield from (to.of_uid("attached", at.network_uid) for at in observed.attachments)
    if observed.incarnation is not None:
        yield Ref("made", to.image_id_target(observed.incarnation.image_id))
