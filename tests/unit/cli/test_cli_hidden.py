"""What strangers wrote into objects cannot steer a terminal, nor forge lines, wherever it is shown.

Logs are passed on as they are.
"""

from __future__ import annotations

import json

import pytest
import yaml

from reconciler.testing.api_server import BASE, Answer, Server
from reconciler.testing.cli import Run

#: a sequence for terminals, a forged line, a right-to-left override, an invisible letter
EVIL = "\x1b[2Ja\nforged\u202eb\u200bc\u009b31m"
HOME = f"{BASE}/namespaces/default/containers"


@pytest.fixture
def evil(server: Server) -> Server:
    condition = {"type": "Ready", "status": "False", "reason": EVIL, "message": EVIL}
    event = {"object": "container/default/web", "type": "Normal", "reason": EVIL, "message": EVIL, "count": 1}
    job = {"id": 1, "name": EVIL, "object": EVIL, "status": "failed", "error": EVIL, "cause": EVIL}
    server.put(
        "container", "web", labels={"note": EVIL}, metadata={"annotations": {EVIL: EVIL}},
        spec={"image": EVIL, "command": [EVIL], "env": [{"name": "A", "value": EVIL}]},
        status={"phase": EVIL, "conditions": [condition], "owner": {"source": EVIL, "item": EVIL}, EVIL: EVIL},
    )  # fmt: skip
    server.answers[f"GET {BASE}/events"] = lambda request: Answer({"items": [event]})
    server.answers[f"GET {BASE}/jobs"] = lambda request: Answer({"items": [job]})
    source = {"name": EVIL, "state": EVIL, "message": EVIL, "held": [EVIL], "files": [{"problems": [EVIL]}]}
    server.answers[f"GET {BASE}/sources"] = lambda request: Answer({"items": [source]})
    plan = {"steps": [], "waits": [{"reason": "InUse"}]}
    server.answers[f"POST {BASE}/plans"] = lambda request: Answer({"plan": plan, "text": f"wait: {EVIL}\n"})
    return server


@pytest.mark.parametrize(
    "words",
    [
        ["get", "co"], ["get", "co", "-o", "wide"], ["get", "co/web", "-o", "yaml"], ["get", "co", "-o", "json"],
        ["get", "all"], ["describe", "co/web"], ["events"], ["events", "-o", "yaml"], ["jobs"], ["jobs", "-o", "json"],
        ["source", "ls"], ["source", "ls", "-o", "yaml"], ["wait", "co/web", "--for=condition=Ready", "--timeout=0"],
    ],
)  # fmt: skip
def test_nothing_of_it_reaches_the_terminal(evil: Server, pydock: Run, words: list[str]) -> None:
    ran = pydock(*words)
    text = ran.out + ran.err
    assert "forged" in text or words[:2] == ["get", "all"]
    assert all(char.isprintable() or char == "\n" for char in text), ascii(text)


@pytest.mark.parametrize("words", [["get", "co"], ["events"], ["jobs"]])
def test_no_line_is_forged(evil: Server, pydock: Run, words: list[str]) -> None:
    assert len(pydock(*words).out.splitlines()) == 2


def test_documents_keep_their_meaning(evil: Server, pydock: Run) -> None:
    for form, read in (("yaml", yaml.safe_load), ("json", json.loads)):
        assert read(pydock("get", "co/web", "-o", form).out)["spec"]["command"] == [EVIL]


def test_programs_get_what_jsonpath_finds_and_terminals_do_not(
    evil: Server, pydock: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("get", "co/web", "-o", "jsonpath={.spec.image}")
    assert pydock(*words).out == EVIL
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert pydock(*words).out == "\\x1b[2Ja\nforged\\u202eb\\u200bc\\x9b31m"


def test_logs_are_passed_on_as_they_were_written(evil: Server, pydock: Run) -> None:
    evil.answers[f"GET {HOME}/web/log"] = lambda request: Answer(iter([EVIL.encode()]))
    assert pydock("logs", "web").out == EVIL
