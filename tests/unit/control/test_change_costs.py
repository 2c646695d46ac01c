"""A change costs its change: none of the usual ones reads everything there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler import errors
from reconciler.store import entries, objects
from reconciler.testing.loop import Loop, container, container_key

WEB, OTHER, THIRD = (container_key(name) for name in ("web", "other", "third"))


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    """Two containers run."""
    made = Loop(tmp_path)
    try:
        made.apply(container("web", dependsOn=[{"name": "other"}]))
        made.apply(container("other"))
        assert made.observed("web").process == "running"
        yield made
    finally:
        made.close()


@pytest.fixture
def no_lists(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on to read all objects, or all of a kind, is an error."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("reads everything")

    monkeypatch.setattr(entries, "_of_kind", refuse)
    monkeypatch.setattr(objects.SqlObjects, "find", refuse)


@pytest.mark.usefixtures("no_lists")
def test_a_change_of_one_object_reads_no_list(loop: Loop) -> None:
    loop.apply(container("web", resources={"limits": {"memory": "64Mi"}}))
    loop.apply(container("web", args=["--more"]))
    loop.apply(container("third", dependsOn=[{"name": "web"}, {"name": "other"}]))
    assert [loop.observed(name).process for name in ("web", "other", "third")] == ["running"] * 3
    loop.look(WEB, closely=True)
    loop.delete(THIRD)
    assert [loop.exists(key) for key in (WEB, OTHER, THIRD)] == [True, True, False]


@pytest.mark.usefixtures("no_lists")
def test_a_cycle_is_found_along_the_dependencies(loop: Loop) -> None:
    with pytest.raises(errors.Invalid, match="other → container/default/web → container/default/other"):
        loop.apply(container("other", dependsOn=[{"name": "web"}]))


def test_the_default_network_goes_with_the_last_container(loop: Loop) -> None:
    loop.delete(WEB)
    assert loop.default_network_exists()
    loop.delete(OTHER)
    assert not loop.default_network_exists()
