"""Platforms as text: ``os/architecture[/variant]`` in Go's words, such as ``linux/arm64`` or ``linux/arm/v7``.

People and tools write other words too; containerd reads them (its ``platforms`` package, "normalizeOS" and
"normalizeArch"), and so does ``normal``.
"""

from __future__ import annotations

_SYSTEMS = {"macos": "darwin"}
#: other names of an architecture: the one in Go's words, and the variant that the name implies
_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "x64": ("amd64", ""),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "x86": ("386", ""),
    "aarch64": ("arm64", "v8"),
    "armv8": ("arm64", "v8"),
    "armv8l": ("arm64", "v8"),
    "armhf": ("arm", "v7"),
    "armv7": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv6": ("arm", "v6"),
    "armv6l": ("arm", "v6"),
    "loongarch64": ("loong64", ""),
    "ppc64el": ("ppc64le", ""),
    "mips64el": ("mips64le", ""),
}


def normal(os: str, architecture: str, variant: str = "") -> tuple[str, str, str]:
    """The same platform in Go's words. What is empty stays so; what is not known is only written in small letters."""
    system, machine, level = os.strip().lower(), architecture.strip().lower(), variant.strip().lower()
    machine, implied = _ARCHITECTURES.get(machine, (machine, ""))
    if machine in ("arm", "arm64") and level.isdigit():
        level = f"v{level}"
    return _SYSTEMS.get(system, system), machine, level or implied


def parse(text: str) -> tuple[str, str, str]:
    """What ``os/architecture[/variant]`` names, in Go's words."""
    system, _, rest = text.partition("/")
    machine, _, variant = rest.partition("/")
    return normal(system, machine, variant)


def same_machine(one: str, other: str) -> bool:
    """Whether both are of one operating system and architecture. What is empty is not known, and like any other."""
    return not one or not other or parse(one)[:2] == parse(other)[:2]


def text(os: str, architecture: str, variant: str = "") -> str:
    return "/".join(part for part in (os, architecture, variant) if part)
