"""The texts that ``-f FILE|DIR|-`` names."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import click

SUFFIXES = (".yaml", ".yml", ".json")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
#: more than any manifest may have: the loader says so, and an endless file ends here
_MOST_BYTES = 8 << 20


class Text(NamedTuple):
    """``name`` is for people: the path as given, or ``<stdin>``."""

    name: str
    data: bytes


def read(names: Sequence[str]) -> list[Text]:
    """All texts, each directory's in the order of their paths. Raises ``click.ClickException``."""
    return [text for name in names for text in (_stdin() if name == "-" else _read(name))]


def _stdin() -> list[Text]:
    return [Text("<stdin>", sys.stdin.buffer.read(_MOST_BYTES))]


def _read(name: str) -> list[Text]:
    if _ADDRESS.match(name) and not os.path.exists(name):
        raise click.ClickException(
            f"{name}: this is a URL, and manifests are read from files, directories and - (standard input) only: fetch "
            "it first, such as with curl, and look at what you apply"
        )
    if not os.path.isdir(name):
        return [_file(name)]
    found = [_file(path) for path in sorted(_below(name))]
    if not found:
        raise click.ClickException(f"{name}: there is no *.yaml, *.yml or *.json in this directory")
    return found


def _below(directory: str) -> Iterator[str]:
    """The manifests in ``directory``, at any depth, as the daemon's watched directory has them."""

    def fail(error: OSError) -> None:
        raise _unreadable(error.filename, error)

    for folder, folders, names in os.walk(directory, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith(SUFFIXES) and not name.startswith(".") and os.path.isfile(path):
                yield path


def _file(path: str) -> Text:
    try:
        with open(path, "rb") as file:
            return Text(path, file.read(_MOST_BYTES))
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str, error: OSError) -> click.ClickException:
    return click.ClickException(f"{path}: {(error.strerror or str(error)).lower()}")
