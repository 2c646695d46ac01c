"""Values are compared by what they mean: another spelling makes nothing anew and gives the same run."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import errors, manifest, planner
from reconciler.kinds import table
from reconciler.kinds.base import comparison
from reconciler.kinds.container.aspects import ports
from reconciler.kinds.container.aspects import table as aspect_table
from reconciler.kinds.container.aspects.base import Run
from reconciler.kinds.container.spec import ASPECTS, ContainerSpec
from reconciler.model import forms
from reconciler.model.fields import Node
from reconciler.model.keys import Key
from reconciler.model.plan import FieldChange
from reconciler.model.view import ImageFacts
from reconciler.testing.world import World

WEB = Key("Container", "default", "web")
FACTS = ImageFacts(reference="a", digest="", image_id="", size=0, chain_id="")


def changes(then: dict[str, Any], now: dict[str, Any]) -> list[FieldChange]:
    was, wanted = (msgspec.convert(each, ContainerSpec) for each in (then, now))
    return comparison.spec_changes(then, was, now, wanted)


def mount(path: str, host: str = "/srv") -> dict[str, Any]:
    return {"mounts": [{"mountPath": path, "hostPath": {"path": host}}]}


def tmpfs(size: Any) -> dict[str, Any]:
    return {"mounts": [{"mountPath": "/x", "tmpfs": {"sizeLimit": size}}]}


def limits(**values: Any) -> dict[str, Any]:
    return {"resources": {"limits": values}}


def capabilities(**values: list[str]) -> dict[str, Any]:
    return {"securityContext": {"capabilities": values}}


SAME = [
    ({"workingDir": "/x"}, {"workingDir": "/x/"}),
    ({"workingDir": "/x/y"}, {"workingDir": "//x/./y"}),
    (mount("/x"), mount("/x/")),
    (mount("/x", "/srv"), mount("/x", "/srv/")),
    (mount("/x", "/"), mount("/x", "//")),
    (tmpfs("1Mi"), tmpfs("1024Ki")),
    (tmpfs("1Mi"), tmpfs(1048576)),
    (limits(cpu="500m"), limits(cpu="0.5")),
    (limits(cpu=0.5), limits(cpu="5e-1")),
    (limits(memory="64Mi"), limits(memory=67108864)),
    (limits(pids=4096), {}),
    ({"stopSignal": "SIGTERM"}, {"stopSignal": "term"}),
    ({"stopSignal": "SIGTERM"}, {"stopSignal": 15}),
    ({"stopSignal": "SIGRTMIN+30"}, {"stopSignal": "SIGRTMAX"}),
    ({"user": "1000:0"}, {"user": "01000:000"}),
    (capabilities(add=["KILL", "CHOWN"]), capabilities(add=["CHOWN", "KILL", "CHOWN"])),
    (capabilities(add=["ALL", "CHOWN"]), capabilities(add=["ALL"])),
    (capabilities(drop=["KILL", "ALL"]), capabilities(drop=["ALL", "KILL", "KILL"])),
]
DIFFERENT = [
    (mount("/x"), mount("/y")),
    (mount("/x", "/srv"), mount("/x", "/srv2")),
    (tmpfs("1Mi"), tmpfs("1M")),
    ({"workingDir": "/x"}, {"workingDir": "/x/y"}),
    ({"user": "1000"}, {"user": "1000:1000"}),
    # with all added, only the names that are dropped count
    (capabilities(add=["ALL"], drop=["ALL"]), capabilities(add=["ALL"], drop=["ALL", "KILL"])),
    ({"command": ["a", "b"]}, {"command": ["b", "a"]}),
    ({"command": []}, {}),
]


@pytest.mark.parametrize(("then", "now"), SAME)
def test_another_spelling_is_nothing_to_do(then: dict[str, Any], now: dict[str, Any]) -> None:
    for one, other in ((then, now), (now, then)):
        world = World()
        world.put(WEB, {"image": "nginx", **one})
        world.settle()
        world.put(WEB, {"image": "nginx", **other})
        assert planner.text(world.plan(WEB)) == "nothing to do\n"


@pytest.mark.parametrize(("then", "now"), DIFFERENT)
def test_another_meaning_is_made_anew(then: dict[str, Any], now: dict[str, Any]) -> None:
    for one, other in ((then, now), (now, then)):
        found = changes({"image": "a", **one}, {"image": "a", **other})
        assert found
        assert not any(change.in_place for change in found)


# Random specs, each in two spellings: built along the annotated types, so that a field of tomorrow is among them.


def unit(value: Fraction) -> st.SearchStrategy[Any]:
    """Spellings of a quantity: plain, by a suffix that fits, by an exponent, as a number."""
    known = [("", Fraction(1)), ("Ki", Fraction(1024)), ("Mi", Fraction(1024**2)), ("k", Fraction(1000))]
    texts = [f"{int(value / size)}{suffix}" for suffix, size in known if (value / size).denominator == 1]
    texts += [f"{int(value * 1000)}e-3"]
    return st.sampled_from([*texts, *([int(value)] if value.denominator == 1 else [])])


def cores(value: int) -> st.SearchStrategy[Any]:
    return st.sampled_from([f"{value}m", str(value / 1000), value / 1000, f"{value}e-3"])


def path(value: tuple[str, ...]) -> st.SearchStrategy[Any]:
    joint = st.sampled_from(["/", "//", "/./"])
    parts = st.tuples(*(st.tuples(joint, st.just(part)).map("".join) for part in value))
    return st.tuples(parts.map("".join), st.sampled_from(["", "/", "/."])).map("".join)


def signal(value: int) -> st.SearchStrategy[Any]:
    name = forms.signals.name(value)
    bare = name.removeprefix("SIG")
    return st.sampled_from([name, name.lower(), bare, bare.lower(), value, str(value)])


def user(value: int) -> st.SearchStrategy[Any]:
    return st.sampled_from([str(value), f"0{value}", f"00{value}"])


def names(value: frozenset[str]) -> st.SearchStrategy[Any]:
    doubled = sorted(value) * 2
    return st.permutations(doubled) if len(doubled) < 8 else st.just(doubled)


def same(value: Any) -> st.SearchStrategy[Any]:
    return st.just(value)


_PATHS = st.lists(st.sampled_from(["a", "b.c", ".d"]), min_size=1, max_size=3).map(tuple)
_BYTES = st.integers(6144, 9000).map(lambda count: Fraction(count * 1024))
_NAMES = st.frozensets(st.sampled_from(["KILL", "CHOWN", "SYS_TIME"]))
_ADDRESSES = st.sampled_from(["0.0.0.0", "127.0.0.1"])
#: form → meanings, and the spellings of one
SPELLINGS: dict[Any, tuple[st.SearchStrategy[Any], Callable[[Any], st.SearchStrategy[Any]]]] = {
    forms.image: (
        st.just(""),
        lambda _: st.sampled_from(["a", "a:latest", "docker.io/library/a", "index.docker.io/a"]),
    ),
    forms.argument: (st.sampled_from(["", "a b"]), same),
    forms.path: (_PATHS, path),
    forms.mount_path: (_PATHS, path),
    forms.user: (st.integers(0, 70000), user),
    forms.address: (_ADDRESSES, same),
    forms.cpu: (st.integers(10, 4000), cores),
    forms.memory: (_BYTES, unit),
    forms.size: (_BYTES, unit),
    forms.signal: (st.integers(1, 64).filter(lambda number: number not in (32, 33)), signal),
    forms.names: (_NAMES, names),
    forms.names_or_all: (_NAMES, names),
}
_TEXTS = ("a", "b", "A", "B", "x y")


@st.composite
def pairs(draw: st.DrawFn, node: Node) -> tuple[Any, Any]:
    """A value of the field in two spellings."""
    if node.field.form is not None:
        meanings, spellings = SPELLINGS[node.field.form]
        spelling = spellings(draw(meanings))
        return draw(spelling), draw(spelling)
    if node.fields:
        return draw(maps(node))
    if node.item is not None:
        return draw(lists(node, node.item))
    value = draw(scalars(node))
    return value, value


@st.composite
def maps(draw: st.DrawFn, node: Node) -> tuple[Any, Any]:
    one: dict[str, Any] = {}
    other: dict[str, Any] = {}
    chosen = draw(st.sampled_from(node.field.one_of)) if node.field.one_of else ""
    for name, below in node.fields.items():
        wanted = name == chosen if name in node.field.one_of else below.required or draw(st.booleans())
        if wanted:
            one[name], other[name] = draw(pairs(below))
    return one, other


@st.composite
def lists(draw: st.DrawFn, node: Node, item: Node) -> tuple[Any, Any]:
    found = draw(st.lists(pairs(item), max_size=3))
    if node.field.keys:
        found = list({node.key(one): (one, other) for one, other in found}.values())
    others = [other for _, other in found]
    if node.field.keys and not node.field.ordered:
        others = list(draw(st.permutations(others)))
    return [one for one, _ in found], others


def scalars(node: Node) -> st.SearchStrategy[Any]:
    if node.choices:
        return st.sampled_from(node.choices)
    if node.types == ("boolean",):
        return st.booleans()
    if node.types == ("integer",):
        least = node.field.least or 0
        return st.integers(least, min(node.field.most or least + 3, least + 3))
    return st.sampled_from([text for text in _TEXTS if re.search(node.field.pattern, text)])


def told(spec: dict[str, Any]) -> list[str]:
    document = {"apiVersion": "pydock.dev/v1", "kind": "Container", "metadata": {"name": "web"}, "spec": spec}
    try:
        manifest.check(document)
    except errors.Invalid as error:
        return [problem.message for problem in error.problems]
    return []


@settings(max_examples=150, deadline=None)
@given(pairs(table.spec_fields("Container")))
def test_any_two_spellings_are_one_container(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    one, other = pair
    # random entries may publish a port of the host twice
    assert all("published twice" in message for message in (*told(one), *told(other)))
    # only the text of the image is recorded: whoever follows it looks for the text
    assert all((change.path, change.in_place) == ("spec.image", True) for change in changes(one, other))
    was, wanted = (msgspec.convert(each, ContainerSpec) for each in pair)
    assert _arguments(was) == _arguments(wanted)
    assert sorted(ports.published(was)) == sorted(ports.published(wanted))


def _arguments(spec: ContainerSpec) -> dict[str, Any]:
    """Of a run. Order counts in no list of these but in the program's arguments."""
    made = aspect_table.configure(ASPECTS, Run(spec, FACTS, "web"))
    for name in ("env", "mounts"):
        made[name] = sorted(map(repr, made[name]))
    for name in ("cap_add", "cap_drop"):
        made[name] = frozenset(made[name])
    return made
