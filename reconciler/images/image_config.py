"""An image's configuration (OCI image spec, config.md): parsed, bounded, checked. Pure.

It comes from strangers and goes into processes, mount tables and log lines: what cannot be handed to a process is
refused here.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import msgspec

from reconciler import errors
from reconciler.drivers.registry import manifests
from reconciler.model import foreign, platforms, references, signals

MAX_BYTES = manifests.MAX_CONFIG
#: what Linux takes as one argument or variable (MAX_ARG_STRLEN)
_MAX_STRING = 128 << 10
_MAX_ITEMS = 4096
_MAX_SHORT = 4096
_MAX_VOLUMES = 256


class Config(NamedTuple):
    """What of a configuration counts for running. ``diff_ids``: bottom first. ``volumes``: paths of directories that
    the image wants to be there. ``platform`` is what it says that it is made for, with empty words where it says
    nothing."""

    diff_ids: tuple[str, ...]
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    env: tuple[str, ...]
    working_dir: str
    user: str
    stop_signal: str
    labels: dict[str, str]
    volumes: tuple[str, ...]
    platform: manifests.Platform


class _Execution(msgspec.Struct, rename="pascal"):
    """One word in place of a list is a list of it, as docker reads it."""

    entrypoint: list[str] | str = []
    cmd: list[str] | str = []
    env: list[str] = []
    working_dir: str = ""
    user: str = ""
    stop_signal: str = ""
    labels: dict[str, str] = {}
    volumes: dict[str, Any] = {}


class _Rootfs(msgspec.Struct):
    type: str = ""
    diff_ids: list[str] = []


class _Document(msgspec.Struct):
    rootfs: _Rootfs = msgspec.field(default_factory=_Rootfs)
    os: str = ""
    architecture: str = ""
    variant: str = ""
    config: _Execution = msgspec.field(default_factory=_Execution)


class _Whole(_Document):
    """With what else has an own place in a configuration."""

    created: str = ""
    author: str = ""
    history: list[Any] = []


class Step(msgspec.Struct, frozen=True):
    """How one layer, or none, came to be (OCI image spec, config.md, "history")."""

    created: str = ""
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False


class Origin(msgspec.Struct, frozen=True):
    """What a configuration tells people; nothing depends on it. ``history``: the first step first."""

    created: str = ""
    os: str = ""
    architecture: str = ""
    history: list[Step] = []


def origin(raw: bytes) -> Origin:
    """Raises ``Permanent`` when it cannot be read."""
    return foreign.decode(raw, Origin, "the image's configuration")


def document(raw: bytes) -> dict[str, Any]:
    """All of a configuration, with the fields that count under their proper names. Raises ``Permanent``."""
    found = foreign.shaped(foreign.values(raw, "the image's configuration"), _Whole)
    if not isinstance(found, dict):
        raise errors.Permanent("the image's configuration is malformed: expected an object")
    return found


def parse(raw: bytes, layers: int) -> Config:
    """Checks a configuration for an image of so many ``layers``. An entry that nothing can be done with is left out
    where a container runs without it. Raises ``Permanent`` saying what is wrong."""
    found = foreign.decode(raw, _Document, "its configuration")
    execution = found.config
    return Config(
        diff_ids=_diff_ids(found.rootfs, layers),
        entrypoint=_entrypoint(execution.entrypoint),
        cmd=_strings("Cmd", execution.cmd),
        env=_environment(execution.env),
        working_dir=_short("WorkingDir", execution.working_dir),
        user=_short("User", execution.user),
        stop_signal=_signal(execution.stop_signal),
        labels=_labels(execution.labels),
        volumes=_volumes(execution.volumes),
        platform=manifests.Platform(*platforms.normal(found.os, found.architecture, found.variant)),
    )


def has_file_system(raw: bytes, layers: int) -> bool:
    """Whether a configuration is one of an image of so many layers, and not just any document."""
    try:
        found = foreign.decode(raw, _Document, "it")
    except errors.Permanent:
        return False
    said = found.rootfs.diff_ids or found.rootfs.type or found.os
    return bool(said) and len(found.rootfs.diff_ids) == layers


def is_for(said: manifests.Platform, wanted: str) -> str:
    """The platform that an image is for whose configuration says ``said``: what it does not say is ``wanted``'s
    (``linux/arm64``; empty: this host's).

    Many images say a wrong architecture; where none was asked for, whoever gave us the image was asked for this host's,
    and is believed. Raises ``Permanent`` when something else was asked for, or another system.
    """
    place = manifests.parse_platform(wanted) if wanted else manifests.host_platform(os.uname().machine)
    found = manifests.Platform(said.os or place.os, said.architecture or place.architecture, said.variant)
    if (found.os, found.architecture) == (place.os, place.architecture):
        return str(found)
    if wanted or found.os != place.os:
        raise errors.Permanent(f"it is made for {found}, and wanted is {place}")
    return str(place)


def _diff_ids(rootfs: _Rootfs, layers: int) -> tuple[str, ...]:
    if rootfs.type not in ("", "layers"):
        raise errors.Permanent(f"its file system is of the unknown type {rootfs.type[:40]!r}")
    if len(rootfs.diff_ids) != layers:
        other = "" if rootfs.diff_ids else ": it is no container image"
        raise errors.Permanent(f"its configuration names {len(rootfs.diff_ids)} layers, its manifest {layers}{other}")
    try:
        return tuple(references.check_digest(digest) for digest in rootfs.diff_ids)
    except errors.Invalid as error:
        raise errors.Permanent(f"its configuration is malformed: {error.message}") from None


def _entrypoint(found: list[str] | str) -> tuple[str, ...]:
    """One empty word is none: so builders write that the base image's is not to be used."""
    values = _strings("Entrypoint", found)
    return () if values == ("",) else values


def _strings(what: str, found: list[str] | str) -> tuple[str, ...]:
    values = (found,) if isinstance(found, str) else tuple(found)
    if len(values) > _MAX_ITEMS:
        raise errors.Permanent(
            f"its configuration has {len(values)} values in {what}: at most {_MAX_ITEMS} are allowed"
        )
    for value in values:
        if "\0" in value or len(value) > _MAX_STRING:
            raise errors.Permanent(f"its configuration has a value in {what} that no process can be given")
    return values


def _environment(found: list[str]) -> tuple[str, ...]:
    """Without what is no NAME=value."""
    return _strings("Env", [value for value in found if value.find("=") > 0 and "\0" not in value])


def _short(what: str, value: str) -> str:
    if len(value) > _MAX_SHORT or not (value.isprintable() or not value):
        raise errors.Permanent(f"its configuration has no usable {what}: {value[:40]!r}")
    return value


def _signal(value: str) -> str:
    """Empty for what is no signal: then the container is stopped with the usual one."""
    try:
        signals.number(value)
    except errors.Invalid:
        return ""
    return value


def _labels(found: dict[str, str]) -> dict[str, str]:
    if len(found) > _MAX_ITEMS or any(len(key) > _MAX_SHORT or len(text) > _MAX_STRING for key, text in found.items()):
        raise errors.Permanent("its labels are more or longer than allowed")
    return found


def _volumes(found: dict[str, Any]) -> tuple[str, ...]:
    if len(found) > _MAX_VOLUMES:
        raise errors.Permanent(f"its configuration has {len(found)} Volumes: at most {_MAX_VOLUMES} are allowed")
    return tuple(_short("Volumes", path) for path in sorted(found) if path.strip("/"))
