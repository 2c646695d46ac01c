"""An image's configuration (OCI image spec, config.md): parsed, bounded, checked. Pure.

It comes from strangers and goes into processes, mount tables and log lines: what cannot be handed to a process is
refused here.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

import msgspec

from reconciler import errors
from reconciler.drivers.registry import manifests
from reconciler.model import references

MAX_BYTES = manifests.MAX_CONFIG
#: what Linux takes as one argument or variable (MAX_ARG_STRLEN)
_MAX_STRING = 128 << 10
_MAX_ITEMS = 4096
_MAX_SHORT = 4096
_SIGNAL = re.compile(r"[A-Za-z0-9+-]{1,20}")


class Config(NamedTuple):
    """What of a configuration counts for running. ``diff_ids``: bottom first."""

    diff_ids: tuple[str, ...]
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    env: tuple[str, ...]
    working_dir: str
    user: str
    stop_signal: str
    labels: dict[str, str]
    platform: str


class _Execution(msgspec.Struct, rename="pascal"):
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    env: list[str] | None = None
    working_dir: str | None = None
    user: str | None = None
    stop_signal: str | None = None
    labels: dict[str, str] | None = None


class _Rootfs(msgspec.Struct):
    type: str
    diff_ids: list[str]


class _Document(msgspec.Struct):
    rootfs: _Rootfs
    os: str = "linux"
    architecture: str = ""
    variant: str = ""
    config: _Execution | None = None


class Step(msgspec.Struct, frozen=True):
    """How one layer, or none, came to be (OCI image spec, config.md, "history")."""

    created: str | None = None
    created_by: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None


class Origin(msgspec.Struct, frozen=True):
    """What a configuration tells people; nothing depends on it. ``history``: the first step first."""

    created: str | None = None
    os: str = ""
    architecture: str = ""
    history: list[Step] | None = None


def origin(raw: bytes) -> Origin:
    """Raises ``Permanent`` when it cannot be read."""
    try:
        return msgspec.json.decode(raw, type=Origin)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError) as error:
        raise errors.Permanent(f"the image's configuration is malformed: {error}") from None


def parse(raw: bytes, layers: int, machine: str = "", platform: str = "") -> Config:
    """Checks a configuration for an image of so many ``layers`` for ``platform`` (empty: that of a host whose
    ``uname -m`` is ``machine``, or of this one).

    Raises ``Permanent`` saying what is wrong.
    """
    try:
        document = msgspec.json.decode(raw, type=_Document)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError) as error:
        raise errors.Permanent(f"its configuration is malformed: {error}") from None
    host = manifests.host_platform(machine or os.uname().machine)
    found = _platform(document, manifests.parse_platform(platform) if platform else host)
    execution = document.config or _Execution()
    return Config(
        diff_ids=_diff_ids(document.rootfs, layers),
        entrypoint=_strings("Entrypoint", execution.entrypoint),
        cmd=_strings("Cmd", execution.cmd),
        env=_environment(execution.env),
        working_dir=_short("WorkingDir", execution.working_dir),
        user=_short("User", execution.user),
        stop_signal=_signal(execution.stop_signal or ""),
        labels=_labels(execution.labels or {}),
        platform=found,
    )


def _platform(document: _Document, wanted: manifests.Platform) -> str:
    """What the image is made for. Raises ``Permanent`` when something else is wanted."""
    found = manifests.Platform(document.os or "linux", document.architecture or wanted.architecture, document.variant)
    if (found.os, found.architecture) != (wanted.os, wanted.architecture):
        raise errors.Permanent(f"it is made for {found}, and wanted is {wanted}")
    return str(found)


def _diff_ids(rootfs: _Rootfs, layers: int) -> tuple[str, ...]:
    if rootfs.type != "layers":
        raise errors.Permanent(f"its file system is of the unknown type {rootfs.type[:40]!r}")
    if len(rootfs.diff_ids) != layers:
        raise errors.Permanent(f"its configuration names {len(rootfs.diff_ids)} layers, its manifest {layers}")
    try:
        return tuple(references.check_digest(digest) for digest in rootfs.diff_ids)
    except errors.Invalid as error:
        raise errors.Permanent(f"its configuration is malformed: {error.message}") from None


def _strings(what: str, found: list[str] | None) -> tuple[str, ...]:
    values = tuple(found or ())
    if len(values) > _MAX_ITEMS:
        raise errors.Permanent(
            f"its configuration has {len(values)} values in {what}: at most {_MAX_ITEMS} are allowed"
        )
    for value in values:
        if "\0" in value or len(value) > _MAX_STRING:
            raise errors.Permanent(f"its configuration has a value in {what} that no process can be given")
    return values


def _environment(found: list[str] | None) -> tuple[str, ...]:
    values = _strings("Env", found)
    for value in values:
        if value.find("=") < 1:
            raise errors.Permanent(f"its configuration has {value[:40]!r} in Env: expected NAME=value")
    return values


def _short(what: str, found: str | None) -> str:
    value = found or ""
    if len(value) > _MAX_SHORT or not (value.isprintable() or not value):
        raise errors.Permanent(f"its configuration has no usable {what}: {value[:40]!r}")
    return value


def _signal(value: str) -> str:
    if value and not _SIGNAL.fullmatch(value):
        raise errors.Permanent(f"its configuration has no usable StopSignal: {value[:40]!r}")
    return value


def _labels(found: dict[str, str]) -> dict[str, str]:
    if len(found) > _MAX_ITEMS or any(len(key) > _MAX_SHORT or len(text) > _MAX_STRING for key, text in found.items()):
        raise errors.Permanent("its labels are more or longer than allowed")
    return found
