"""What differs between the spec a thing was made from and the spec that is wanted now.

A field that was written neither then nor now has not changed, whatever the defaults say: an upgrade with a new
default restarts nothing. A field written in either is compared by its effective values: the recorded ones with those
of today's defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from reconciler.kinds.container.observed import Incarnation
from reconciler.kinds.network.observed import NetworkObserved
from reconciler.model.objects import Desired
from reconciler.model.plan import FieldChange
from reconciler.model.spec import ContainerSpec, Dependency, EnvVar, Mount, NetworkRef, NetworkSpec, Port, Spec

#: fields of a container that take effect without a new incarnation; labels do too
CONTAINER_IN_PLACE = frozenset(
    {
        "imagePullPolicy",
        "resources",
        "restartPolicy",
        "ports",
        "dependsOn",
        "stopSignal",
        "terminationGracePeriodSeconds",
    }
)
#: fields of an Image that change nothing of the image that is here
IMAGE_IN_PLACE = frozenset({"pullPolicy", "updatePolicy"})
#: fields of a network that take effect while its containers run
NETWORK_IN_PLACE = frozenset({"mtu", "internal", "masquerade"})

#: what tells the elements of a list apart, so that a change shows as that element's
_ELEMENT_KEYS: dict[type, Callable[[Any], str]] = {
    EnvVar: lambda item: str(item.name),
    Port: lambda item: f"{item.container_port}/{item.protocol}",
    Mount: lambda item: str(item.mount_path),
    NetworkRef: lambda item: str(item.name),
    Dependency: lambda item: str(item.name),
}
#: lists whose order means something although their elements have keys: the first network has the default route
_ORDERED = frozenset({NetworkRef})


class _Unwritten:
    """Stands for a value that the user did not write."""


_UNWRITTEN = _Unwritten()


def container_changes(
    incarnation: Incarnation, desired: Desired, same_image: Callable[[str, str], bool]
) -> tuple[FieldChange, ...]:
    """Changed labels and fields, in the order of the spec. ``same_image`` tells whether two references mean one."""
    changes = _label_changes(incarnation.labels, desired.labels)
    if incarnation.written != desired.spec:
        wanted = msgspec.convert(desired.spec, ContainerSpec)
        found = _spec_changes(incarnation.written, incarnation.effective, desired.spec, wanted, CONTAINER_IN_PLACE)
        changes += [_image_change(change, same_image) if change.path == "spec.image" else change for change in found]
    return tuple(changes)


def network_changes(observed: NetworkObserved, desired: Desired) -> tuple[FieldChange, ...]:
    """Changed fields of a network that has been made, its subnet and gateway compared with those in use."""
    if observed.effective is None or observed.written == desired.spec:
        return ()
    wanted = msgspec.convert(desired.spec, NetworkSpec)
    subnet = wanted.subnet or observed.subnet
    now = msgspec.structs.replace(wanted, subnet=subnet, gateway=wanted.gateway or first_host(subnet))
    then = msgspec.structs.replace(observed.effective, subnet=observed.subnet, gateway=observed.gateway)
    return tuple(_spec_changes(observed.written, then, desired.spec, now, NETWORK_IN_PLACE))


def first_host(subnet: str) -> str:
    """The address that a network's bridge has when no gateway is written."""
    import ipaddress

    return str(ipaddress.ip_network(subnet)[1])


def _label_changes(then: dict[str, str], now: dict[str, str]) -> list[FieldChange]:
    return [
        FieldChange(path=f"metadata.labels[{name}]", old=then.get(name), new=now.get(name), in_place=True)
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]


def _image_change(change: FieldChange, same_image: Callable[[str, str], bool]) -> FieldChange:
    """Another spelling of the same image is worth recording, not a new incarnation."""
    return msgspec.structs.replace(change, in_place=same_image(change.old, change.new))


def _spec_changes(
    then: dict[str, Any], was: Spec, now: dict[str, Any], wanted: Spec, in_place: frozenset[str]
) -> list[FieldChange]:
    changes: list[FieldChange] = []
    for name, attribute in fields(type(wanted)):
        found = _Comparison(in_place=name in in_place)
        found.values(
            f"spec.{name}",
            then.get(name, _UNWRITTEN),
            getattr(was, attribute),
            now.get(name, _UNWRITTEN),
            getattr(wanted, attribute),
        )
        changes += found.changes
    return changes


class _Comparison:
    """Walks one top-level field. In each method ``then`` and ``now`` are what was written, ``was`` and ``wanted``
    what that means.
    """

    def __init__(self, in_place: bool) -> None:
        self.changes: list[FieldChange] = []
        self._in_place = in_place

    def values(self, path: str, then: Any, was: Any, now: Any, wanted: Any) -> None:
        if (then is _UNWRITTEN and now is _UNWRITTEN) or was == wanted:
            return
        if isinstance(was, Spec) and type(was) is type(wanted):
            self._structs(path, then, was, now, wanted)
        elif isinstance(was, tuple) and isinstance(wanted, tuple):
            self._lists(path, then, was, now, wanted)
        else:
            self._differs(path, was, wanted)

    def _structs(self, path: str, then: Any, was: Spec, now: Any, wanted: Spec) -> None:
        for name, attribute in fields(type(wanted)):
            self.values(
                f"{path}.{name}",
                _written(then, name),
                getattr(was, attribute),
                _written(now, name),
                getattr(wanted, attribute),
            )

    def _lists(self, path: str, then: Any, was: tuple[Any, ...], now: Any, wanted: tuple[Any, ...]) -> None:
        """By the elements' keys, if they have some and these are unique; else as a whole."""
        before, after = _by_key(then, was), _by_key(now, wanted)
        if before is None or after is None or _reordered(was, wanted, list(before), list(after)):
            self._differs(path, was, wanted)
            return
        for key in dict.fromkeys((*before, *after)):
            nothing = (_UNWRITTEN, None)
            (written_then, element_was), (written_now, element_now) = before.get(key, nothing), after.get(key, nothing)
            self.values(f"{path}[{key}]", written_then, element_was, written_now, element_now)

    def _differs(self, path: str, was: Any, wanted: Any) -> None:
        self.changes.append(FieldChange(path=path, old=_plain(was), new=_plain(wanted), in_place=self._in_place))


@cache
def fields(kind: type[Spec]) -> tuple[tuple[str, str], ...]:
    """(JSON name, attribute) of each field, in the order of the type."""
    return tuple((field.encode_name, field.name) for field in msgspec.structs.fields(kind))


def _written(value: Any, name: str) -> Any:
    return value.get(name, _UNWRITTEN) if isinstance(value, dict) else _UNWRITTEN


def _by_key(written: Any, elements: tuple[Any, ...]) -> dict[str, tuple[Any, Any]] | None:
    """key → (as written, its meaning); None if elements have no keys or not unique ones."""
    texts = list(written) if isinstance(written, (list, tuple)) else []
    found: dict[str, tuple[Any, Any]] = {}
    if len(texts) != len(elements):
        return None
    for text, element in zip(texts, elements, strict=True):
        key_of = _ELEMENT_KEYS.get(type(element))
        if key_of is None:
            return None
        found[key_of(element)] = (text, element)
    return found if len(found) == len(elements) else None


def _reordered(was: tuple[Any, ...], wanted: tuple[Any, ...], before: list[str], after: list[str]) -> bool:
    if not was or not wanted or type(wanted[0]) not in _ORDERED:
        return False
    return before != after and sorted(before) == sorted(after)


def _plain(value: Any) -> Any:
    """As plain JSON values."""
    return msgspec.to_builtins(value) if isinstance(value, (Spec, tuple)) else value
