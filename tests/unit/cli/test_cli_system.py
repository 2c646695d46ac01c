"""image tree, system df, system prune."""

from __future__ import annotations

import json
from typing import Any

from reconciler.testing.api_server import BASE, Answer, Server
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
    "layers": 3072, "blobs": 1024, "reclaimable": 1024, "pulling": False,
    "containers": [{"key": "container/default/web", "id": "i", "running": True, "size": 512}],
    "leftovers": [{"what": "blob", "name": "sha256:c", "size": 7}],
}  # fmt: skip
SUMMARY = """\
TYPE         TOTAL   ACTIVE   SIZE     RECLAIMABLE
Images       2       1        4.0KiB   1.0KiB (25%)
Containers   1       1        512B     0B
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

Leftovers:
WHAT   NAME       SIZE
blob   sha256:c   7B
"""
    )
