"""The configuration of registries: with or without TLS, certificates, and mirrors.

A registry is named as in references, ``HOST[:PORT]``. Certificates can also be in a directory with docker's layout::

    CERTS_DIR/HOST[:PORT]/*.crt                        authorities
    CERTS_DIR/HOST[:PORT]/NAME.cert, NAME.key          the certificate that proves us, with its key
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from reconciler import errors
from reconciler.drivers.registry import addresses, tls
from reconciler.model import references


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One registry. ``mirrors`` are URLs, asked in order before the registry itself; ``ca``, ``client_cert`` and
    ``client_key`` are PEM files. Without a ``plain_http`` a registry on loopback that has no such files is spoken to
    over plain HTTP, and any other with TLS."""

    mirrors: tuple[str, ...] = ()
    ca: str = ""
    client_cert: str = ""
    client_key: str = ""
    plain_http: bool | None = None


class Place(NamedTuple):
    """Where a registry is, and how to connect to it. ``plain``: it is configured to have no TLS."""

    url: str
    files: tls.Files
    plain: bool = False


class Hosts:
    """The configuration of all registries. Certificate files are read when they are needed."""

    def __init__(
        self, tables: Mapping[str, Host] | None = None, mirrors: Sequence[str] = (), certs_dir: str = ""
    ) -> None:
        """``mirrors`` are asked for docker.io before those of its table. Raises ``Invalid`` naming the key that is
        wrong."""
        self._certs_dir = certs_dir
        self._tables = {_registry(name): _checked(name, table) for name, table in (tables or {}).items()}
        if len(self._tables) < len(tables or {}):
            raise errors.Invalid("registry: two tables are about the same registry")
        self._mirrors = {name: _mirrors(_key(name), table.mirrors) for name, table in self._tables.items()}
        if mirrors:
            docker = references.DEFAULT_REGISTRY
            self._mirrors[docker] = _mirrors("registry_mirrors", mirrors) + self._mirrors.get(docker, ())
        self._plain: dict[str, bool] = {}
        for name, found in self._mirrors.items():
            for mirror in found:
                self._settle(name, mirror)

    def mirrors(self, registry: str) -> tuple[str, ...]:
        """The registries to ask before this one, in order."""
        return tuple(mirror.registry for mirror in self._mirrors.get(registry, ()))

    def place(self, registry: str) -> Place:
        """Raises ``Permanent`` if the certificate files of the registry cannot be told apart or lack their keys."""
        files = self._files(registry)
        stated = self._plain.get(registry, self._table(registry).plain_http)
        plain = False if stated is None and files else stated
        return Place(addresses.endpoint(registry, plain), files, stated is True)

    def check_files(self) -> None:
        """Loads all certificates. Raises ``Invalid`` naming the key whose file cannot be used."""
        for name, table in self._tables.items():
            files = tls.Files.of([table.ca] if table.ca else [], table.client_cert, table.client_key)
            try:
                if files:
                    tls.context(files, prove=True)
            except errors.Permanent as error:
                raise errors.Invalid(f"{_key(name)}: {error.message}") from None

    def _table(self, registry: str) -> Host:
        return self._tables.get(registry, Host())

    def _settle(self, registry: str, mirror: _Mirror) -> None:
        """Records whether a mirror has TLS, which its URL says. Raises ``Invalid`` where something else contradicts."""
        if mirror.registry == registry:
            raise errors.Invalid(f"{_key(registry)}.mirrors: {mirror.registry} is its own mirror")
        stated = self._plain.get(mirror.registry, self._table(mirror.registry).plain_http)
        if stated is not None and stated != mirror.plain:
            raise errors.Invalid(
                f"{_key(registry)}.mirrors: {mirror.registry} is meant to be spoken to with TLS in one place, and "
                f"without in another"
            )
        if mirror.plain and self._table(mirror.registry).ca:
            raise errors.Invalid(f"{_key(mirror.registry)}.ca: its URL as a mirror says http://, without TLS")
        self._plain[mirror.registry] = mirror.plain

    def _files(self, registry: str) -> tls.Files:
        table = self._table(registry)
        found = _directory(os.path.join(self._certs_dir, registry)) if self._certs_dir else _Found()
        if len(found.pairs) > 1 and not table.client_cert:
            shown = ", ".join(cert for cert, _ in found.pairs)
            raise errors.Permanent(f"there is more than one certificate to prove us with: {shown}")
        cert, key = (table.client_cert, table.client_key) if table.client_cert else (*found.pairs, ("", ""))[0]
        return tls.Files.of([*([table.ca] if table.ca else []), *found.authorities], cert, key)


class _Mirror(NamedTuple):
    registry: str
    plain: bool


class _Found(NamedTuple):
    authorities: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()


def _directory(path: str) -> _Found:
    try:
        names = sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return _Found()
    except OSError as error:
        raise errors.Permanent(f"{path}: {error.strerror}") from None
    return _Found(
        tuple(os.path.join(path, name) for name in names if name.endswith(".crt")), tuple(_pairs(path, names))
    )


def _pairs(path: str, names: list[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        stem, dot, kind = name.rpartition(".")
        other = {"cert": "key", "key": "cert"}.get(kind) if dot else None
        if other and f"{stem}.{other}" not in names:
            raise errors.Permanent(f"{os.path.join(path, name)}: {stem}.{other} is missing beside it")
        if kind == "cert":
            yield os.path.join(path, name), os.path.join(path, f"{stem}.key")


def _key(registry: str) -> str:
    """The name of a registry's table in the configuration."""
    return f'registry."{registry}"'


def _registry(name: str) -> str:
    try:
        return references.parse_registry(name)
    except errors.Invalid as error:
        raise errors.Invalid(f"{_key(name[:160])}: {error.message}") from None


def _checked(name: str, table: Host) -> Host:
    """``table``; raises ``Invalid`` if its values contradict each other."""
    key = _key(name)
    for field in ("ca", "client_cert", "client_key"):
        path = getattr(table, field)
        if path and not os.path.isabs(path):
            raise errors.Invalid(f"{key}.{field} {path!r}: expected an absolute path")
        if path and table.plain_http:
            raise errors.Invalid(f"{key}.{field}: has no meaning with plain_http = true, which is without TLS")
    if bool(table.client_cert) != bool(table.client_key):
        raise errors.Invalid(f"{key}: client_cert and client_key are given together, or not at all")
    return table


def _mirrors(key: str, urls: Sequence[str]) -> tuple[_Mirror, ...]:
    key = key if key == "registry_mirrors" else f"{key}.mirrors"
    return tuple(dict.fromkeys(_mirror(key, url) for url in urls))


def _mirror(key: str, url: str) -> _Mirror:
    """The registry and scheme of a mirror's URL, which as docker's has no path."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        raise errors.Invalid(f"{key}: a mirror's URL is malformed: expected https://HOST[:PORT]") from None
    if "@" in parts.netloc:
        raise errors.Invalid(f"{key}: a mirror's URL has no user name or password in it: {parts.hostname}")
    if not known or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise errors.Invalid(f"{key} {url[:200]!r}: expected https://HOST[:PORT] or http://HOST[:PORT], without a path")
    try:
        return _Mirror(references.parse_registry(parts.netloc), parts.scheme == "http")
    except errors.Invalid as error:
        raise errors.Invalid(f"{key}: {error.message}") from None
