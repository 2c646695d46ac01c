"""Platforms as text: ``os/architecture[/variant]`` in Go's words, such as ``linux/arm64`` or ``linux/arm/v7``."""

from __future__ import annotations


def same_machine(one: str, other: str) -> bool:
    """Whether both are of one operating system and architecture. What is empty is not known, and like any other."""
    return not one or not other or one.split("/")[:2] == other.split("/")[:2]


def text(os: str, architecture: str, variant: str = "") -> str:
    return "/".join(part for part in (os, architecture, variant) if part)
