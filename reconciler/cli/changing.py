"""What ``--change`` says of an image that is made, in instructions of a Dockerfile."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable
from typing import Any

import click

Config = dict[str, Any]


def config(changes: Iterable[str]) -> Config:
    """The members of ``requests.archives.ImageConfig`` that the instructions set, the last of several counting."""
    found: Config = {}
    for change in changes:
        word, _, rest = change.strip().partition(" ")
        instruction = _INSTRUCTIONS.get(word.upper())
        if instruction is None or not rest.strip():
            raise click.UsageError(f"--change {change!r}: expected one of {KNOWN}, and what it sets.")
        try:
            instruction(found, rest.strip())
        except ValueError as error:
            raise click.UsageError(f"--change {change!r}: {error}.") from None
    return found


def _words(name: str) -> Callable[[Config, str], None]:
    """A list in JSON, or a line for the shell."""

    def put(found: Config, text: str) -> None:
        given = json.loads(text) if text.startswith("[") else ["/bin/sh", "-c", text]
        if not all(isinstance(word, str) for word in given):
            raise ValueError("expected a list of strings")
        found[name] = given

    return put


def _text(name: str) -> Callable[[Config, str], None]:
    def put(found: Config, text: str) -> None:
        found[name] = text

    return put


def _env(found: Config, text: str) -> None:
    env = dict(each.split("=", 1) for each in found.get("env", ()))
    found["env"] = [f"{name}={value}" for name, value in (env | _pairs(text)).items()]


def _label(found: Config, text: str) -> None:
    found["labels"] = found.get("labels", {}) | _pairs(text)


def _pairs(text: str) -> dict[str, str]:
    """``NAME=VALUE …``, quoted as for a shell, or one ``NAME VALUE``."""
    first, _, rest = text.partition(" ")
    if "=" not in first:
        if not rest.strip():
            raise ValueError("expected NAME=VALUE")
        return {first: rest.strip()}
    pairs = [word.partition("=") for word in shlex.split(text)]
    if not all(name and equals for name, equals, _ in pairs):
        raise ValueError("expected NAME=VALUE")
    return {name: value for name, _, value in pairs}


_INSTRUCTIONS: dict[str, Callable[[Config, str], None]] = {
    "CMD": _words("cmd"),
    "ENTRYPOINT": _words("entrypoint"),
    "ENV": _env,
    "LABEL": _label,
    "STOPSIGNAL": _text("stopSignal"),
    "USER": _text("user"),
    "WORKDIR": _text("workingDir"),
}
KNOWN = ", ".join(_INSTRUCTIONS)
