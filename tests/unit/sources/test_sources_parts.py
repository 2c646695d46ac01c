"""Who keeps what, and how much may go, by themselves: properties over all small cases."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.control.sources.ledger import claims, facts, files, guard
from reconciler.model.view import Moment
from reconciler.testing.sources import key

paths = st.sampled_from(["a", "b", "c", "d"])
keysets = st.frozensets(st.sampled_from([key(name) for name in "wxyz"]), max_size=3)


@st.composite
def before(draw: st.DrawFn) -> dict[str, frozenset[facts.Key]]:
    """Versions in force: no object in two files."""
    owner = {each: draw(paths) for each in draw(keysets)}
    return {path: frozenset(each for each in owner if owner[each] == path) for path in "abcd"}


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(paths, keysets, max_size=4), before())
def test_whatever_is_wanted_one_file_holds_an_object(
    wanted: dict[str, frozenset[facts.Key]], standing: dict[str, frozenset[facts.Key]]
) -> None:
    owners = {each: path for path, keys in standing.items() for each in keys}
    refused = claims.refusals(wanted, standing, owners, {})
    after = {**standing, **{path: keys for path, keys in wanted.items() if path not in refused}}
    holders = [each for keys in after.values() for each in keys]
    assert len(holders) == len(set(holders))
    assert refused.keys() <= wanted.keys()
    for path, lost in refused.items():
        assert lost
        assert path not in lost.values()
    if (
        not any(set(one) & set(two) for one in after.values() for two in after.values() if one is not two)
        and not refused
    ):
        assert after == {**standing, **wanted}


def test_a_conflict_free_set_is_never_refused() -> None:
    standing = {"a": {key("x")}, "b": {key("y")}}
    assert claims.refusals({"a": {key("y")}, "b": {key("x")}}, standing, {key("x"): "a", key("y"): "b"}, {}) == {}
    assert claims.refusals({"c": {key("z")}}, standing, {key("x"): "a", key("y"): "b"}, {}) == {}


NOW = Moment(mono=1000.0, wall=1e6, boot_id="boot")


def held(old: int, fresh: int) -> dict[facts.Key, facts.Holding]:
    """So many objects from long ago, and so many from within the window."""
    ages = [3600.0] * old + [1.0] * fresh
    return {key(f"c{number}"): facts.Holding(f"u{number}", "f", NOW.wall - age) for number, age in enumerate(ages)}


def gone(count: int, ago: float, fresh: bool = False, boot_id: str = "boot") -> tuple[facts.Removed, ...]:
    return tuple(facts.Removed(boot_id, NOW.mono - ago, f"g{number}", fresh) for number in range(count))


def holds(old: int, fresh: int, due: int, *removed: facts.Removed) -> bool:
    in_force = held(old, fresh)
    return guard.judge(in_force, list(in_force)[:due], removed, NOW).holds


def test_the_guard_by_numbers() -> None:
    assert not holds(10, 0, 5)
    assert holds(10, 0, 6)
    assert not holds(4, 0, 4)
    assert holds(5, 0, 5)
    assert not holds(100, 0, 50)
    assert holds(100, 0, 51)
    assert holds(7, 0, 3, *gone(3, 10.0))
    assert not holds(7, 0, 3, *gone(3, 30.0))
    assert holds(7, 0, 3, *gone(3, 500.0, boot_id="before"))
    assert holds(10, 100, 6)
    assert holds(0, 6, 5)
    assert not holds(0, 20, 8)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.data())
def test_never_more_than_half_without_asking(old: int, recent: int, data: st.DataObject) -> None:
    """However it is spread, what was there at the window's start is never more than halved, four objects apart."""
    due = data.draw(st.integers(0, old))
    if not holds(old, recent, due, *gone(data.draw(st.integers(0, 5)), 5.0, fresh=True)):
        assert due < 5 or due * 2 <= old


def test_what_gets_quiet_together_is_looked_at_together() -> None:
    assert files.together([]) is None
    assert files.together([7.0]) == 7.0
    assert files.together([7.04, 7.0, 7.06, 9.0]) == 7.04
