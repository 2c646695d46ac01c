"""Fifty editors of one object at once, over the API: no update is lost, and who read too early is told."""

from __future__ import annotations

import threading
from typing import Any

from reconciler.testing.daemon import Pydockd, path

EDITORS = 50
ONE = path("Network", "edited")


def edited(version: str = "", **labels: str) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": "edited", "labels": labels}
    if version:
        meta["resourceVersion"] = version
    return {"apiVersion": "pydock.dev/v1", "kind": "Network", "metadata": meta, "spec": {}}


def at_once(host: Pydockd, edit: Any) -> list[Any]:
    results: list[Any] = [None] * EDITORS
    begin = threading.Barrier(EDITORS)

    def run(number: int) -> None:
        begin.wait(20)
        results[number] = edit(host, number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(EDITORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def read_and_write(host: Pydockd, number: int) -> int:
    """Adds a label to what was read, again from the beginning as long as that is refused; how often it was."""
    for refusals in range(500):
        present = host.api("GET", ONE)["metadata"]
        labels = present.get("labels", {}) | {f"editor{number}": "was-here"}
        status, answer = host.request("PUT", ONE, edited(present["resourceVersion"], **labels))
        if status < 300:
            return refusals
        assert (status, answer["reason"]) == (409, "Conflict"), answer
    raise AssertionError("never had its turn")


def test_no_update_is_lost(host: Pydockd) -> None:
    host.api("PUT", ONE, edited())
    refusals = at_once(host, read_and_write)
    assert None not in refusals
    labels = host.api("GET", ONE)["metadata"]["labels"]
    assert labels == {f"editor{number}": "was-here" for number in range(EDITORS)}
    assert sum(refusals) > 0, "nobody was in anybody's way: this shows nothing"


def test_of_those_who_write_over_the_same_revision_one_wins(host: Pydockd) -> None:
    version = host.api("PUT", ONE, edited(start="x"))["metadata"]["resourceVersion"]
    answers = at_once(host, lambda host, number: host.request("PUT", ONE, edited(version, winner=str(number))))
    assert sorted(status for status, _ in answers) == [200] + [409] * (EDITORS - 1)
    (winner,) = [answer["metadata"]["labels"]["winner"] for status, answer in answers if status == 200]
    assert host.api("GET", ONE)["metadata"]["labels"] == {"winner": winner}


def test_managers_who_apply_different_fields_all_keep_theirs(host: Pydockd) -> None:
    def apply(host: Pydockd, number: int) -> int:
        url = f"{ONE}?fieldManager=m{number}"
        document = edited(**{f"of-m{number}": "mine"})
        return int(host.request("PATCH", url, document, "application/apply-patch+json")[0])

    assert set(at_once(host, apply)) <= {200, 201}
    labels = host.api("GET", ONE)["metadata"]["labels"]
    assert {f"of-m{number}" for number in range(EDITORS)} <= labels.keys()
