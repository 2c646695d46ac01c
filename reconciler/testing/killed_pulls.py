"""Pulls in processes that may be killed at any moment.

``python -m reconciler.testing.killed_pulls`` has everything imported, and forks a child for each line that it reads
(JSON: the directory to work in, the reference, the file to write to what is then here; "" looks at nothing); the child
pulls, and ends. The parent tells the child's pid, and how it ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from reconciler.drivers.graph import helper_process
from reconciler.testing import forked_helpers, graph_trees
from reconciler.testing.nursery import preload
from reconciler.testing.pulling import Puller


class Forker:
    """The test's end."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "reconciler.testing.killed_pulls"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def begin(self, work: Path, reference: str, report: Path | None = None) -> int:
        """The pid of a process that pulls, and writes to ``report`` what is wrong then and which tree is there."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(work), reference, str(report or "")]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> int:
        """How it ended: 0, or minus the signal's number."""
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def _pull(work: Path, reference: str, report: str) -> None:
    with contextlib.closing(Puller(work)) as puller:
        puller.pull(reference)
        if report:
            # what a tree must be is told by another that was compared with its blobs: unpacking again takes longer
            found = {"problems": puller.problems(unpack=False), "tree": _told(puller.tree(reference))}
            Path(report).write_text(json.dumps(found))


def _told(tree: dict[str, graph_trees.Node]) -> dict[str, str]:
    """Directories that no member names have the time at which they were made."""
    return {path: repr(replace(node, mtime=None) if node.type == "d" else node) for path, node in tree.items()}


def main() -> None:
    helper_process._start = forked_helpers.start
    preload()
    for line in sys.stdin:
        work, reference, report = json.loads(line)
        child = os.fork()
        if not child:
            try:
                _pull(Path(work), reference, report)
            except BaseException:  # noqa: BLE001 - told, whatever it is
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
