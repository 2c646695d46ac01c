"""Which commit this is: written into the package when a wheel is built, asked of git in a checkout."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


def commit() -> str:
    """The commit's 40 hex digits, or an empty string if nobody knows."""
    packaged = resources.files("reconciler") / "COMMIT"
    if packaged.is_file():
        return _checked(packaged.read_text(encoding="ascii"))
    return _from_checkout(Path(__file__).resolve().parents[1] / ".git")


def _from_checkout(git: Path) -> str:
    """Reads the checkout's files: forking git would cost more than the rest of the start."""
    try:
        if git.is_file():
            git = (git.parent / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()).resolve()
        head = (git / "HEAD").read_text(encoding="ascii").strip()
        if not head.startswith("ref: "):
            return _checked(head)
        name = head.removeprefix("ref: ")
        loose = git / name
        if loose.is_file():
            return _checked(loose.read_text(encoding="ascii"))
        for line in (git / "packed-refs").read_text(encoding="ascii").splitlines():
            if line.endswith(f" {name}"):
                return _checked(line.partition(" ")[0])
    except (OSError, UnicodeDecodeError):
        return ""
    return ""


def _checked(text: str) -> str:
    return text.strip() if _COMMIT.match(text.strip()) else ""
