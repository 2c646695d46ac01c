"""What a page of ``docs/extending`` adds, made in a copy of the tree as it stands there, and counted.

A page holds steps. ``File `path`:`` is a new file, ``Row in `path`, after `line`:`` an addition to one that is there;
the text is in the fence that follows. A page that says how to extend the product is so proved to be true, and whoever
makes adding dearer sees it in the count.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "extending"
#: what ``make reference`` writes
GENERATED = ("schemas/", "docs/reference/", "reconciler/client/calls.py")

_STEP = re.compile(
    r"^(?:(?P<new>File) `(?P<file>[^`]+)`|(?P<row>Row) in `(?P<table>[^`]+)`, after `(?P<after>[^`]+)`):\n\n"
    r"```\w*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Page:
    """One page. ``files``: path → text; ``rows``: (path, the line before, text)."""

    def __init__(self, name: str) -> None:
        self.files: dict[str, str] = {}
        self.rows: list[tuple[str, str, str]] = []
        for step in _STEP.finditer((PAGES / name).read_text()):
            if step["new"]:
                self.files[step["file"]] = step["text"]
            else:
                self.rows.append((step["table"], step["after"], step["text"]))

    def places(self) -> set[str]:
        """What is new in folders that the tree has: folders, or single files."""
        found = set[str]()
        for path in map(Path, self.files):
            above = [each for each in (path, *path.parents) if not (ROOT / each).exists()]
            found.add(str(above[-1]))
        return found


class Copy:
    """A copy of the tree's code, schemas and generated pages at ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("reconciler", "schemas", "docs"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        self._before = self._contents()

    def add(self, page: Page) -> None:
        for path, text in page.files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)
        for path, after, text in page.rows:
            lines = (self.root / path).read_text().splitlines(keepends=True)
            (place,) = [number for number, line in enumerate(lines) if line.strip() == after]
            lines.insert(place + 1, text)
            (self.root / path).write_text("".join(lines))

    def generate(self) -> None:
        """``make reference``"""
        self.run("docs/generate.py")

    def run(self, *arguments: str) -> str:
        """Standard output of Python with the copy's packages. Fails with what it printed."""
        done = subprocess.run(
            [sys.executable, "-B", *arguments], cwd=self.root, capture_output=True, text=True, check=False,
            env={"PYTHONPATH": str(self.root), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout

    def changed(self) -> set[str]:
        """The files that are new or changed."""
        after = self._contents()
        return {path for path in self._before.keys() | after.keys() if self._before.get(path) != after.get(path)}

    def touched(self) -> set[str]:
        """What somebody wrote by hand: ``changed`` without what is generated."""
        return {path for path in self.changed() if not path.startswith(GENERATED)}

    def _contents(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
