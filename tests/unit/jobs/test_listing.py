"""Lists: in pages, of one kind, and bounded while nobody reads them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from reconciler import errors
from reconciler.engine import answers
from reconciler.engine.job import Job
from reconciler.store.session import SqlSession
from reconciler.testing import wait
from reconciler.testing.loop import Loop, network, plain


def fill(loop: Loop, count: int, namespace: str = "default", **spec: Any) -> None:
    for number in range(count):
        loop.ask("put", document=network(f"n{number:03}", namespace=namespace, **spec), manager="me")


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["metadata"]["name"] for item in items]


def page(loop: Loop, **args: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    head, *pieces = loop.stream("list", kind="Network", **args)
    return head, [item for piece in pieces for item in piece]


@pytest.mark.parametrize("limit", [1, 3, 7, 8])
def test_pages_make_up_the_list(loop: Loop, limit: int) -> None:
    fill(loop, 4)
    fill(loop, 3, namespace="other")
    (whole, every), found, token = page(loop), list[dict[str, Any]](), ""
    while True:
        head, items = page(loop, limit=limit, continue_=token)
        assert len(items) <= limit
        found, token = found + items, head["continue"]
        if not token:
            break
    assert (found, head["revision"], whole["continue"]) == (every, whole["revision"], "")
    assert len(found) == 7


def test_a_limit_counts_what_matches(loop: Loop) -> None:
    fill(loop, 5)
    head, items = page(loop, limit=2, field_selector="metadata.name!=n000")
    assert names(items) == ["n001", "n002"]
    _, rest = page(loop, limit=9, field_selector="metadata.name!=n000", continue_=head["continue"])
    assert names(rest) == ["n003", "n004"]


def test_a_watch_from_the_revision_of_paged_lists_misses_nothing(loop: Loop) -> None:
    fill(loop, 4)
    head, first = page(loop, limit=2)
    loop.ask("put", document=network("n000", mtu=1400), manager="me")
    loop.ask("put", document=network("n003", mtu=1400), manager="me")
    again, second = page(loop, limit=2, continue_=head["continue"])
    assert again["revision"] == head["revision"]
    assert [item["spec"].get("mtu") for item in first + second] == [None, None, None, 1400]
    with loop.store.snapshot() as session:
        changed = [change.object["metadata"]["name"] for change in session.changes.since(head["revision"])]
    assert changed == ["n000", "n003"]


def test_a_page_whose_changes_are_gone_is_expired(loop: Loop) -> None:
    fill(loop, 3)
    head, _ = page(loop, limit=1)
    fill(loop, 3, mtu=1400)
    with loop.store.transaction() as session:
        session.changes.compact(1)
    with pytest.raises(errors.Expired, match="list again"):
        page(loop, limit=1, continue_=head["continue"])


@pytest.mark.parametrize("token", ["x", "////", "bnVsbA==", "WzEsWyIiLCIiXV0=", "ü"])
def test_a_token_that_no_list_gave_is_refused(loop: Loop, token: str) -> None:
    with pytest.raises(errors.Invalid, match="continue is not a token"):
        page(loop, continue_=token)


def test_only_the_asked_kind_and_namespace_are_read(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(loop, 2)
    fill(loop, 3, namespace="other")
    read: list[str] = []
    real = SqlSession.pages

    def noting(self: SqlSession, *args: Any) -> Any:
        for found in real(self, *args):
            read.extend(str(entry.desired.key) for entry in found)
            yield found

    monkeypatch.setattr(SqlSession, "pages", noting)
    monkeypatch.setattr(SqlSession, "entries", lambda *_: pytest.fail("every kind was read"))
    assert len(page(loop, namespace="other")[1]) == 3
    assert read == [f"network/other/n{number:03}" for number in range(3)]


def test_unread_lists_have_a_bound_together_and_pages_find_room(loop: Loop) -> None:
    """Callers who ask for much and read nothing; one who asks for a page is served all the same."""
    fill(loop, 20)
    whole = sum(len(str(item)) for item in page(loop)[1])
    loop.parts.answers = answers.Room(total=3 * whole, for_large=2 * whole, large=whole // 2)
    gate, taken, refused = threading.Event(), list[Any](), list[errors.Temporary]()

    def unread() -> None:
        def emit(item: Any) -> None:
            taken.append(item)
            gate.wait(20)

        try:
            loop.engine.run(Job("list", args={"kind": "Network"}, emit=emit))
        except errors.Temporary as error:
            refused.append(error)

    threads = [threading.Thread(target=unread) for _ in range(24)]
    for thread in threads:
        thread.start()
    try:
        wait.until(lambda: len(taken) + len(refused) == 24, 20.0, "every caller to be served or refused")
        assert 1 <= len(taken) <= 4
        assert loop.parts.answers.used <= 2 * whole
        assert "pages" in refused[0].message
        assert len(page(loop, limit=5)[1]) == 5
    finally:
        gate.set()
        for thread in threads:
            thread.join(20)
    assert loop.parts.answers.used == 0


def test_a_list_beyond_any_room_says_what_to_do(loop: Loop) -> None:
    fill(loop, 5)
    loop.parts.answers = answers.Room(total=1000, for_large=900, large=800)
    with pytest.raises(errors.Invalid, match="limit and continue"):
        page(loop)
    assert loop.parts.answers.used == 0
    assert len(page(loop, limit=1)[1]) == 1


def test_room_is_given_back_as_the_answer_is_read(loop: Loop) -> None:
    fill(loop, 250)
    used: list[int] = []
    items = 0

    def read(item: Any) -> None:
        nonlocal items
        used.append(loop.parts.answers.used)
        items += len(plain(item)) if isinstance(item, list) else 0

    loop.engine.run(Job("list", args={"kind": "Network"}, emit=read))
    assert items == 250
    assert used == sorted(used, reverse=True)
    assert used[0] > used[-1] > 0
