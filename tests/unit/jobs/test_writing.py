"""Writes: what a deletion asks for is kept."""

from __future__ import annotations

import pytest

from reconciler.testing.loop import Loop, network


@pytest.mark.parametrize("grace", [0, 7, None])
def test_the_grace_of_a_deletion_is_kept_and_shown(loop: Loop, grace: int | None) -> None:
    loop.ask("put", document=network("a"), manager="me")
    answer = loop.ask("delete", kind="Network", namespace="default", name="a", grace=grace)
    assert answer["object"]["metadata"].get("deletionGracePeriodSeconds") == grace
    with loop.store.snapshot() as session:
        (found,) = [each for each in session.objects.find(kind="Network") if each.key.name == "a"]
    assert found.deleting_at is not None
    assert found.deleting_grace == grace
