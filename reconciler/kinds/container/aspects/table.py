"""The aspects of a spec, found at its fields, and what they give together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from reconciler.kinds.base.rules import Rule
from reconciler.kinds.container.aspects.base import Arguments, Aspect, Run, Running
from reconciler.model import fields


def of(spec: type[fields.Spec]) -> tuple[Aspect, ...]:
    """In the order of their first fields."""
    extras = (extra for field in fields.of(spec).fields.values() for extra in field.extras)
    return tuple(dict.fromkeys(extra for extra in extras if isinstance(extra, Aspect)))


def rules(aspects: Iterable[Aspect]) -> tuple[Rule, ...]:
    return tuple(rule for aspect in aspects for rule in aspect.rules)


def configure(aspects: Iterable[Aspect], run: Run) -> Arguments:
    """The arguments of a run that all aspects give. Raises ``TypeError`` when two give the same and it is no tuple."""
    made: Arguments = {}
    for aspect in aspects:
        for name, value in (aspect.configure(run) if aspect.configure else {}).items():
            made[name] = _joined(name, made[name], value) if name in made else value
    return made


def changed(aspects: Iterable[Aspect], was: Any, wanted: Any) -> Iterator[Aspect]:
    """The aspects for which a running container must be told of an edit in place."""
    return (aspect for aspect in aspects if aspect.live is not None and aspect.live(was) != aspect.live(wanted))


def drifted(aspects: Iterable[Aspect], running: Running) -> tuple[Aspect, ...]:
    """The aspects of which somebody else changed what the kernel has."""
    return tuple(aspect for aspect in aspects if aspect.drifted is not None and aspect.drifted(running))


def _joined(name: str, first: Any, second: Any) -> Any:
    if not isinstance(first, tuple) or not isinstance(second, tuple):
        raise TypeError(f"two aspects give the argument {name!r}")
    return first + second
