"""image tree, system df, system prune."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from reconciler.testing.api_server import BASE, Answer, Server, status
from reconciler.testing.cli import Run

TREE = f"{BASE}/graph/images/tree"
DF = f"{BASE}/system/df"


def layer(name: str, parent: str, size: int, *images: tuple[str, str]) -> dict[str, Any]:
    ends = [
        {"reference": reference, "digest": "sha256:" + "d" * 64, "usedBy": [user] if user else [], "keptBy": []}
        for reference, user in images
    ]
    full = ["sha256:" + each * 64 if each else "" for each in (name, parent)]
    return {"chainId": full[0], "parent": full[1], "size": size, "images": ends}


def test_tree(server: Server, pydock: Run) -> None:
    items = [
        layer("", "", 0, ("empty:1", "")),
        layer("1", "", 2048, ("base:1", "")),
        layer("2", "1", 100),
        layer("3", "2", 100, ("one:1", "container/default/a"), ("", "")),
        layer("4", "1", 0, ("two:1", "")),
        layer("5", "4", 10, ("three:1", "image/x")),
    ]
    server.answers[f"GET {TREE}"] = lambda request: Answer({"items": items})
    assert (
        pydock("image", "tree").out
        == """\
LAYER             SIZE     IMAGE          USED BY
<none>            0B       empty:1        <none>
111111111111      2.0KiB   base:1         <none>
├─ 222222222222   100B
│  333333333333   100B     one:1          container/default/a
│                          dddddddddddd   <none>
└─ 444444444444   0B       two:1          <none>
   555555555555   10B      three:1        image/x
"""
    )
    assert json.loads(pydock("image", "tree", "base:1", "-o", "json").out) == items
    assert server.last("GET").query == {"reference": "base:1"}
    server.answers[f"GET {TREE}"] = lambda request: Answer({"items": []})
    assert pydock("image", "tree") == (0, "", "No images found.\n")


USAGE = {
    "driver": "overlay", "disk": {"size": 10 << 30, "free": 1 << 30, "usedPercent": 90.0},
    "images": [
        {"reference": "web:1", "digest": "sha256:a", "imageId": "sha256:" + "1" * 64, "size": 2048, "shared": 1024,
         "own": 1024, "usedBy": ["container/default/web"], "keptBy": [], "usedAt": 0},
        {"reference": "web:2", "digest": "sha256:a", "imageId": "sha256:" + "1" * 64, "size": 2048, "shared": 1024,
         "own": 1024, "usedBy": [], "keptBy": [], "usedAt": 0},
        {"reference": "", "digest": "sha256:b", "imageId": "sha256:" + "2" * 64, "size": 1024, "shared": 1024,
         "own": 0, "usedBy": [], "keptBy": [], "usedAt": 0},
    ],
    "layers": 3072, "blobs": 1024, "reclaimable": 1024, "pulling": False, "warning": "",
    "containers": [{"key": "container/default/web", "id": "i", "running": True, "size": 512}],
    "logs": [{"key": "container/default/web", "size": 100}],
    "leftovers": [{"what": "blob", "name": "sha256:c", "size": 7}],
}  # fmt: skip
SUMMARY = """\
TYPE         TOTAL   ACTIVE   SIZE     RECLAIMABLE
Images       2       1        4.0KiB   1.0KiB (25%)
Containers   1       1        512B     0B
Logs         1       1        100B     0B
Leftovers    1       0        7B       7B (100%)
Disk: 90% of 10.0GiB used, 1.0GiB free, driver overlay
"""


def test_df(server: Server, pydock: Run) -> None:
    server.answers[f"GET {DF}"] = lambda request: Answer(USAGE)
    assert pydock("system", "df") == (0, SUMMARY, "")
    assert json.loads(pydock("system", "df", "-o", "json").out) == USAGE
    assert (
        pydock("system", "df", "-v").out
        == SUMMARY
        + """
Images:
REFERENCE   IMAGE ID       SIZE     SHARED   OWN      LAST USED   USED BY
web:1       111111111111   2.0KiB   1.0KiB   1.0KiB   <unknown>   container/default/web
web:2       111111111111   2.0KiB   1.0KiB   1.0KiB   <unknown>   <none>
<none>      222222222222   1.0KiB   1.0KiB   0B       <unknown>   <none>

Writable layers of containers:
CONTAINER               RUNS   SIZE
container/default/web   yes    512B

Logs:
CONTAINER               SIZE
container/default/web   100B

Leftovers:
WHAT   NAME       SIZE
blob   sha256:c   7B
"""
    )
    server.answers[f"GET {DF}"] = lambda request: Answer(USAGE | {"warning": "the disk is full"})
    assert pydock("system", "df").out == SUMMARY + "Warning: the disk is full\n"


IMAGES = f"{BASE}/graph/images"
LEFT = f"{BASE}/system/leftovers/remove"
COLLECTION = f"{BASE}/system/collection"
GOING = {"items": USAGE["images"][2:], "freed": 1000}
LEFTOVERS = {"items": USAGE["leftovers"], "freed": 7}
PLAN = """\
REFERENCE   IMAGE ID       SIZE     OWN
<none>      222222222222   1.0KiB   0B
Total: 1 image, 1000B will be free
Leftovers: 1, 7B will be free
Containers stay, stopped ones too: they are declared.
"""


@pytest.fixture
def untidy(server: Server) -> Server:
    server.answers[f"GET {IMAGES}/unused"] = lambda request: Answer(GOING)
    server.answers[f"POST {IMAGES}/remove"] = lambda request: Answer(GOING)
    server.answers[f"POST {LEFT}"] = lambda request: Answer(LEFTOVERS)
    server.answers[f"GET {COLLECTION}"] = lambda request: Answer(
        GOING | {"leftovers": USAGE["leftovers"], "freed": 1007, "lacking": 0}
    )
    server.answers[f"POST {COLLECTION}"] = lambda request: Answer({"removed": ["web:1"], "freed": 1007})
    return server


def posts(server: Server) -> list[tuple[str, Any]]:
    return [(request.path, request.json) for request in server.asked if request.method == "POST"]


def test_prune_shows_and_then_removes(untidy: Server, pydock: Run) -> None:
    assert pydock("system", "prune", "--all", "--yes") == (
        0, PLAN + "sha256:b removed\n1 leftovers removed, 7B freed\n", "",
    )  # fmt: skip
    assert posts(untidy) == [
        (LEFT, {"dryRun": True}),
        (f"{IMAGES}/remove", {"references": ["sha256:b"], "exact": True, "dryRun": False}),
        (LEFT, {"dryRun": False}),
    ]
    assert untidy.last("GET").query == {"all": "true"}


def test_a_dry_run_of_prune_removes_nothing(untidy: Server, pydock: Run) -> None:
    assert pydock("system", "prune", "--dry-run") == (0, PLAN, "")
    assert posts(untidy) == [(LEFT, {"dryRun": True})]
    assert pydock("system", "prune", "--collect", "--dry-run") == (0, PLAN, "")
    assert len(posts(untidy)) == 1


def test_prune_asks(untidy: Server, pydock: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert pydock("system", "prune").status == 2
    assert posts(untidy) == [(LEFT, {"dryRun": True})]


def test_the_daemons_own_collection(untidy: Server, pydock: Run) -> None:
    assert pydock("system", "prune", "--collect", "--yes") == (0, PLAN + "web:1 removed\n1007B freed\n", "")
    assert posts(untidy) == [(COLLECTION, {})]
    assert pydock("system", "prune", "--collect", "--all").status == 2


def test_nothing_to_prune(untidy: Server, pydock: Run) -> None:
    untidy.answers[f"GET {IMAGES}/unused"] = lambda request: Answer({"items": [], "freed": 0})
    untidy.answers[f"POST {LEFT}"] = lambda request: Answer({"items": [], "freed": 0})
    words = "Nothing to remove. Containers stay, stopped ones too: they are declared.\n"
    assert pydock("system", "prune") == (0, words, "")


def test_what_came_into_use_is_told(untidy: Server, pydock: Run) -> None:
    untidy.answers[f"POST {IMAGES}/remove"] = lambda request: status(409, "image x is used by container/default/a")
    ran = pydock("system", "prune", "-y")
    assert (ran.status, ran.err) == (1, "pydock: image x is used by container/default/a\n")
