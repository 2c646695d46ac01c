"""References: the names of images, normalised as Docker normalises them.

``[host[:port]/]path[:tag][@digest]``: a first part with a dot or a colon, or ``localhost``, is the registry's host;
else the registry is ``docker.io``, where a path of one part lives below ``library/``. Without tag and digest the tag is
``latest``. Upper-case letters in a host become lower case. The grammar is the one of the distribution project
(https://github.com/distribution/reference).
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from reconciler import errors

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
_OF_DOCKER = frozenset(("docker.io", "index.docker.io", "registry-1.docker.io"))
#: bytes of ``registry/path`` together
MAX_NAME = 255
MAX_TEXT = 1024

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_LABEL = r"(?:[a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_HEX = re.compile(r"[0-9a-f]{64}")
_DIGESTS = {"sha256": re.compile(r"[0-9a-f]{64}"), "sha512": re.compile(r"[0-9a-f]{128}")}


class Reference(msgspec.Struct, frozen=True):
    """A normalised name: ``registry`` is host[:port]; ``tag`` may be empty when ``digest`` is not. With both, the
    digest decides."""

    registry: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """``registry/path``: the repository."""
        return f"{self.registry}/{self.path}"

    @property
    def target(self) -> str:
        """What to ask the registry for: the digest, or else the tag."""
        return self.digest or self.tag

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def check_digest(digest: str) -> str:
    """Returns ``digest`` if it is ``sha256:`` with 64 or ``sha512:`` with 128 lower-case hexadecimal digits; raises
    ``errors.Invalid``."""
    algorithm, _, value = digest.partition(":")
    form = _DIGESTS.get(algorithm)
    if form is None or not form.fullmatch(value):
        raise errors.Invalid(
            f"digest {digest[:160]!r} is not valid: expected sha256: and 64 hexadecimal digits (0-9, a-f)"
        )
    return digest


def parse(text: str) -> Reference:
    """The normalised reference that ``text`` means. Raises ``errors.Invalid`` saying what is wrong with it."""
    if not text:
        raise errors.Invalid("image reference is empty: expected [registry/]name[:tag][@digest]")
    if len(text) > MAX_TEXT:
        raise errors.Invalid(f"image reference is {len(text)} characters long: at most {MAX_TEXT} are allowed")
    rest, at, digest = text.partition("@")
    if at:
        _checked_digest(text, digest)
    name, tag = _split_tag(rest)
    if tag is not None and not _TAG.fullmatch(tag):
        raise _wrong(
            text,
            f"tag {tag!r} may have letters, digits, '_', '.' and '-', at most 128, and starts with none of '.', '-'",
        )
    registry, path = _split_registry(text, name)
    if len(registry) + 1 + len(path) > MAX_NAME:
        raise _wrong(
            text, f"registry and name are {len(registry) + 1 + len(path)} characters: at most {MAX_NAME} are allowed"
        )
    return Reference(registry, path, tag or ("" if at else DEFAULT_TAG), digest)


def parse_repository(text: str) -> Reference:
    """The repository that ``text`` names without tag and digest. Raises ``errors.Invalid``."""
    found = parse(text)
    if "@" in text or _split_tag(text)[1] is not None:
        raise _wrong(text, f"a repository is expected, without tag and digest, such as {found.name}")
    return found


def is_tag(text: str) -> bool:
    return bool(_TAG.fullmatch(text))


def is_path(text: str) -> bool:
    return len(text) <= MAX_NAME and bool(_PATH.fullmatch(text))


def split_search(text: str) -> tuple[str, str]:
    """The registry and the word of ``[REGISTRY/]TERM``. Raises ``errors.Invalid``."""
    first, slash, rest = text.partition("/")
    registry, term = (parse_registry(first), rest) if slash and _is_host(first) else (DEFAULT_REGISTRY, text)
    if not term or len(term) > MAX_NAME or not term.isprintable():
        raise errors.Invalid(f"search {text[:160]!r}: expected [REGISTRY/]TERM, the term of 1 to {MAX_NAME} characters")
    return registry, term


@lru_cache(maxsize=4096)
def normalised(text: str) -> str:
    """The normalised form; ``text`` itself when it is no reference (older data may hold such)."""
    try:
        return str(parse(text))
    except errors.Invalid:
        return text


def small_registry(text: str) -> str:
    """``text`` with the registry's host, if it names one, in lower case: DNS does not distinguish case."""
    first, slash, rest = text.partition("/")
    return f"{first.lower()}{slash}{rest}" if slash and _is_host(first) else text


def spellings(text: str) -> tuple[str, ...]:
    """All ways to write what ``text`` means: as it is, and with and without Docker's registry, ``library/`` and
    ``:latest``. The registry is always in lower case, as it is stored (``small_registry``)."""
    try:
        reference = parse(text)
    except errors.Invalid:
        return (text,)
    names = [f"{reference.registry}/{reference.path}"]
    if reference.registry == DEFAULT_REGISTRY:
        paths = [reference.path]
        if reference.path.count("/") == 1:
            paths.append(reference.path.removeprefix("library/"))
        names = [f"{host}{path}" for host in ("", "docker.io/", "index.docker.io/") for path in paths]
    tags = [f":{reference.tag}" if reference.tag else ""]
    if reference.tag == DEFAULT_TAG and not reference.digest:
        tags.append("")
    digest = f"@{reference.digest}" if reference.digest else ""
    return tuple(dict.fromkeys([text, *(f"{name}{tag}{digest}" for name in names for tag in tags)]))


def parse_registry(text: str) -> str:
    """The registry (host[:port]) that ``text`` names: as in a reference, or a URL as in docker's config.json. Raises
    ``errors.Invalid``."""
    host = text.removeprefix("https://").removeprefix("http://").partition("/")[0].lower()
    if host in _OF_DOCKER:
        return DEFAULT_REGISTRY
    match = _HOST.fullmatch(host)
    if not match or len(host) > MAX_NAME or not 0 < int(match["port"] or 443) < 65536:
        raise errors.Invalid(f"registry {text[:160]!r}: expected host[:port], such as registry.example:5000")
    return host


def parse_scope(text: str) -> str:
    """The normalised form of ``REGISTRY[/REPOSITORY]``: a registry, or the images below a path of it. Raises
    ``errors.Invalid``."""
    first, slash, path = text.removeprefix("https://").rstrip("/").partition("/")
    if slash and not (first == "localhost" or any(mark in first for mark in ".:[")):
        raise errors.Invalid(
            f"{text[:160]!r} names no registry: expected REGISTRY[/REPOSITORY], such as docker.io/team"
        )
    registry = parse_registry(first)
    if not slash or (registry == DEFAULT_REGISTRY and path in ("v1", "v2")):
        return registry
    if not _PATH.fullmatch(path) or len(registry) + 1 + len(path) > MAX_NAME:
        raise errors.Invalid(f"{text[:160]!r}: {path[:160]!r} is no repository's name, nor the beginning of one")
    return f"{registry}/{path}"


def scope_registry(scope: str) -> str:
    """The registry of a scope that ``parse_scope`` made."""
    return scope.partition("/")[0]


def in_scope(reference: Reference, scope: str) -> bool:
    """Whether the image is of that registry, or that repository or one below it."""
    return f"{reference.name}/".startswith(f"{scope}/")


def _checked_digest(text: str, digest: str) -> None:
    try:
        check_digest(digest)
    except errors.Invalid as error:
        raise _wrong(text, error.message) from None


def _split_tag(rest: str) -> tuple[str, str | None]:
    """A colon after the last slash starts the tag."""
    slash, colon = rest.rfind("/"), rest.rfind(":")
    return (rest[:colon], rest[colon + 1 :]) if colon > slash else (rest, None)


def _split_registry(text: str, name: str) -> tuple[str, str]:
    first, slash, path = name.partition("/")
    if not slash or not _is_host(first):
        return DEFAULT_REGISTRY, _docker_path(text, name)
    registry = _checked_host(text, first.lower())
    if registry in ("docker.io", "index.docker.io"):
        return DEFAULT_REGISTRY, _docker_path(text, path)
    return registry, _checked_path(text, path)


def _is_host(first: str) -> bool:
    """Whether the part before the first slash is a registry, and not a user of Docker's."""
    return first.lower() == "localhost" or any(mark in first for mark in ".:[")


def _docker_path(text: str, path: str) -> str:
    if _HEX.fullmatch(path):
        raise _wrong(text, "a name of 64 hexadecimal digits looks like an image id: name the repository")
    return _checked_path(text, path if "/" in path else f"library/{path}")


def _checked_host(text: str, host: str) -> str:
    match = _HOST.fullmatch(host)
    if not match:
        raise _wrong(text, f"{host!r} is not a registry's host[:port]")
    port = match["port"]
    if port and not 0 < int(port) < 65536:
        raise _wrong(text, f"port {port} of the registry is not between 1 and 65535")
    return host


def _checked_path(text: str, path: str) -> str:
    if _PATH.fullmatch(path):
        return path
    if any(part in ("", ".", "..") for part in path.removeprefix("library/").split("/")):
        raise _wrong(text, "the name has an empty part, '.' or '..'")
    if path != path.lower():
        raise _wrong(text, "the name must be lower case")
    raise _wrong(text, "parts of the name are lower-case letters and digits, with '.', '_', '__' or '-' between them")


def _wrong(text: str, why: str) -> errors.Invalid:
    return errors.Invalid(f"image reference {text!r}: {why}")
