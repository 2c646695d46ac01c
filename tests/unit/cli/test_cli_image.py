"""image ls, inspect, history, rm, prune."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from reconciler.testing.api_server import BASE, Answer, Request, Server, status
from reconciler.testing.cli import Run

HERE = f"{BASE}/graph/images"
WEB = {"reference": "registry.example/web:1", "digest": "sha256:" + "a" * 64, "imageId": "sha256:" + "1" * 64,
       "size": 5 << 20,
       "shared": 4 << 20, "own": 1 << 20,
       "usedBy": ["container/default/a", "container/default/b"], "keptBy": ["image/web"]}  # fmt: skip
OLD = {"reference": "", "digest": "sha256:" + "b" * 64, "imageId": "sha256:" + "2" * 64, "size": 512,
       "shared": 512, "own": 0, "usedBy": [], "keptBy": []}  # fmt: skip
TWO = [OLD | {"reference": f"registry.example/old:{tag}", "digest": "sha256:" + "c" * 64} for tag in (1, 2)]


def items(*found: Any) -> Any:
    return lambda request: Answer({"items": list(found)})


@pytest.mark.parametrize("words", [("images",), ("image", "ls")])
def test_ls(server: Server, pydock: Run, words: tuple[str, ...]) -> None:
    server.answers[f"GET {HERE}"] = items(WEB, OLD)
    assert pydock(*words) == (
        0,
        """\
REFERENCE                IMAGE ID       SIZE     USED BY
registry.example/web:1   111111111111   5.0MiB   2
<none>                   222222222222   512B     0
""",
        "",
    )
    assert pydock(*words, "-o", "name").out == f"registry.example/web:1\n{OLD['digest']}\n"
    assert json.loads(pydock(*words, "-o", "json").out) == [WEB, OLD]
    wide = pydock(*words, "-o", "wide").out.splitlines()
    assert wide[0].split("   ")[-1].strip() == "DIGEST"
    assert wide[1].split() == [
        "registry.example/web:1", "111111111111", "5.0MiB", "container/default/a,", "container/default/b", "image/web",
        "4.0MiB", "1.0MiB", WEB["digest"],
    ]  # fmt: skip


def test_ls_of_nothing(server: Server, pydock: Run) -> None:
    server.answers[f"GET {HERE}"] = items()
    assert pydock("image", "ls") == (0, "", "No images found.\n")
    assert pydock("image", "ls", "-o", "json").out == "[]\n"


def test_inspect_sends_the_reference_as_it_is(server: Server, pydock: Run) -> None:
    server.answers[f"GET {HERE}/inspect"] = lambda request: Answer(WEB | {"layers": []})
    ran = pydock("image", "inspect", "host:5000/a/b:1@sha256:00")
    assert (ran.status, json.loads(ran.out)) == (0, WEB | {"layers": []})
    assert server.last("GET").query == {"reference": "host:5000/a/b:1@sha256:00"}
    assert pydock("image", "inspect", "a", "-o", "yaml").out.startswith("reference: registry.example/web:1\n")


def test_history(server: Server, pydock: Run) -> None:
    steps = [
        {"created": "", "createdBy": 'CMD ["a"]\n', "comment": "\x1b[2J", "emptyLayer": True},
        {"created": "2025-01-01T00:00:00.5Z", "createdBy": "ADD file", "comment": "", "emptyLayer": False},
    ]
    server.answers[f"GET {HERE}/history"] = items(*steps)
    assert pydock("image", "history", "web") == (
        0,
        """\
CREATED     LAYER   CREATED BY    COMMENT
<unknown>   no      CMD ["a"]\\n   \\x1b[2J
3d23h       yes     ADD file
""",
        "",
    )
    server.answers[f"GET {HERE}/history"] = items()
    assert pydock("image", "history", "web") == (0, "", "The image's configuration tells no history.\n")


def test_rm_goes_on_after_what_cannot_go(server: Server, pydock: Run) -> None:
    def remove(request: Request) -> Answer:
        assert request.json["exact"] is False
        (reference,) = request.json["references"]
        if reference == "web":
            return status(409, "image web is used by container/default/a: delete or change that first")
        return Answer({"items": [OLD | {"reference": reference}], "freed": 600})

    server.answers[f"POST {HERE}/remove"] = remove
    assert pydock("image", "rm", "web", "old") == (
        1,
        "old removed\n",
        "pydock: image web is used by container/default/a: delete or change that first\n",
    )
    assert pydock("image", "rm", "old").status == 0
    assert server.last("POST").json["dryRun"] is False
    assert pydock("image", "rm", "--dry-run", "old") == (0, "old would be removed\n600B would be free\n", "")
    assert server.last("POST").json["dryRun"] is True
    assert pydock("image", "rm").status == 2


PLAN = """\
REFERENCE                IMAGE ID       SIZE   OWN
registry.example/old:1   222222222222   512B   0B
registry.example/old:2   222222222222   512B   0B
<none>                   222222222222   512B   0B
Total: 2 images, 700B will be free
"""


@pytest.fixture
def unused(server: Server) -> Server:
    server.answers[f"GET {HERE}/unused"] = lambda request: Answer({"items": [*TWO, OLD], "freed": 700})

    def remove(request: Request) -> Answer:
        assert request.json["exact"] is True
        return Answer({"items": [OLD | {"reference": name} for name in request.json["references"]], "freed": 1})

    server.answers[f"POST {HERE}/remove"] = remove
    return server


def removals(server: Server) -> list[list[str]]:
    return [request.json["references"] for request in server.asked if request.method == "POST"]


def test_prune_removes_what_it_shows_one_image_at_a_time(unused: Server, pydock: Run) -> None:
    names = [[each["reference"] for each in TWO], [OLD["digest"]]]
    removed = "".join(f"{name} removed\n" for each in names for name in each)
    assert pydock("image", "prune", "--all", "--yes") == (0, PLAN + removed, "")
    assert unused.last("GET").query == {"all": "true"}
    assert removals(unused) == names
    pydock("image", "prune", "--dry-run")
    assert unused.last("GET").query == {}


def test_prune_tells_what_has_come_into_use(unused: Server, pydock: Run) -> None:
    unused.answers[f"POST {HERE}/remove"] = lambda request: status(409, "image x is used by container/default/a")
    ran = pydock("image", "prune", "-y")
    assert (ran.status, ran.out, ran.err) == (1, PLAN, "pydock: image x is used by container/default/a\n" * 2)


def test_a_dry_run_removes_nothing(unused: Server, pydock: Run) -> None:
    assert pydock("image", "prune", "--dry-run", "--yes") == (0, PLAN, "")
    assert removals(unused) == []


def test_without_a_terminal_nobody_is_asked(unused: Server, pydock: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    ran = pydock("image", "prune")
    assert (ran.status, ran.out) == (2, PLAN)
    assert "There is no terminal to ask at: --yes removes what is shown." in ran.err
    assert removals(unused) == []


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("", 130)])
def test_at_a_terminal_it_asks(
    unused: Server, pydock: Run, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", terminal)
    ran = pydock("image", "prune")
    assert ran.status == code
    assert "Remove these? [y/N]: " in ran.out
    assert bool(removals(unused)) == (code == 0)


def test_nothing_to_prune(server: Server, pydock: Run) -> None:
    server.answers[f"GET {HERE}/unused"] = items()
    assert pydock("image", "prune") == (0, "Nothing to remove.\n", "")


def test_tag(server: Server, pydock: Run) -> None:
    server.answers[f"POST {HERE}/tag"] = lambda request: Answer(WEB | {"reference": "registry.example/new:1"})
    assert pydock("image", "tag", "1111", "registry.example/new:1") == (
        0, f"registry.example/new:1: {WEB['digest']}\n", "",
    )  # fmt: skip
    assert server.last("POST").json == {"source": "1111", "target": "registry.example/new:1"}
    assert pydock("image", "tag", "1111").status == 2
