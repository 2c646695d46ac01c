"""The daemon's settings: defaults, then the TOML file, then the environment, then flags; frozen once made.

The file (``/etc/pydock/pydockd.toml`` unless ``--config`` names another) has the same names as the flags, with
underscores::

    manifests = "/etc/pydock.d"
    hosts = ["unix:///run/pydock/pydock.sock"]
    exec_runtime = "crun"

a table for containers' logs (``Logs``)::

    [logs]
    max_size = "10Mi"
    max_files = 3

and a table for each registry that is not spoken to in the usual way (``drivers.registry.hosts.Host``)::

    [registry."registry.example:5000"]
    mirrors = ["https://mirror.example"]
    ca = "/etc/pydock/registry-ca.pem"
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from reconciler import __version__, errors
from reconciler.drivers.exec.base import LogLimits
from reconciler.drivers.graph import options as graph_options
from reconciler.drivers.graph import table as graph_table
from reconciler.drivers.registry import hosts as registry_hosts
from reconciler.images import trust
from reconciler.model import collection, durations, names, quantity

DEFAULT_CONFIG = "/etc/pydock/pydockd.toml"
#: the drop-in directory of a host's own manifests
DEFAULT_MANIFESTS = "/etc/pydock.d"

#: the variable of the environment that stands for ``--storage-driver``
STORAGE_DRIVER = "PYDOCK_STORAGE_DRIVER"
T = TypeVar("T")

#: in the run directory: whoever holds its lock has the directory
PID_FILE = "pydockd.pid"


#: less than this holds no long line
_LOG_LEAST = 16 << 10
_LOG_FILES_MOST = 1000


class Logs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of each container's output is kept: ``max_files`` files of ``max_size`` each. A size is one of
    Kubernetes' (``10Mi``) or docker's (``10m``, which is the same)."""

    max_size: str = "10Mi"
    max_files: int = LogLimits().max_files

    def limits(self) -> LogLimits:
        """Raises ``Invalid`` naming the key that is wrong."""
        size = self._bytes()
        if size < _LOG_LEAST:
            raise errors.Invalid(f"logs.max_size {self.max_size!r}: expected at least 16Ki")
        if not 1 <= self.max_files <= _LOG_FILES_MOST:
            raise errors.Invalid(f"logs.max_files {self.max_files}: expected a number from 1 to {_LOG_FILES_MOST}")
        return LogLimits(size, self.max_files)

    def _bytes(self) -> int:
        text = self.max_size.strip()
        docker = re.fullmatch(r"([0-9]+)([kmg])b?", text)
        try:
            return quantity.to_bytes(f"{docker[1]}{docker[2].upper()}i" if docker else text)
        except errors.Invalid as error:
            raise errors.Invalid(f"logs.max_size: {error.message} (such as 10Mi)") from None


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``resync`` is the seconds between full looks when no event asks for one; ``api_user`` is the name or uid that the
    API process runs as (empty: see ``bootstrap.accounts``); empty ``exec_runtime`` and ``storage_driver`` mean the
    first that works. ``image_gc_*`` configure automatic image garbage collection, see ``model.collection``: per cent,
    and times such as ``30d``. ``registry_mirrors`` are URLs for docker.io; ``certs_dir`` holds files of TLS as docker's
    certs.d does; ``trust_policy`` is the file that decides which images may be pulled.
    ``dns``: name servers for containers where the host's own cannot be reached from them; ``logs``: see ``Logs``."""

    root: str = "/var/lib/pydock"
    run_dir: str = "/run/pydock"
    manifests: str = DEFAULT_MANIFESTS
    hosts: tuple[str, ...] = ()
    group: str = ""
    exec_runtime: str = ""
    storage_driver: str = ""
    storage_opts: tuple[str, ...] = ()
    instance: str = "default"
    pidfile: str = ""
    api_user: str = ""
    resync: float = 300.0
    workers: int = 64
    image_gc_high: float = 85.0
    image_gc_low: float = 80.0
    image_gc_min_age: str = "2m"
    image_gc_max_age: str = "0"
    keep_changes: int = 10_000
    keep_jobs: int = 5_000
    keep_events: int = 5_000
    debug: bool = False
    certs_dir: str = "/etc/pydock/certs.d"
    trust_policy: str = trust.DEFAULT
    registry_mirrors: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    logs: Logs = Logs()
    registry: Mapping[str, registry_hosts.Host] = {}

    def registries(self) -> registry_hosts.Hosts:
        """What is configured about registries. Raises ``Invalid`` naming the key that is wrong."""
        return registry_hosts.Hosts(self.registry, self.registry_mirrors, self.certs_dir)

    @property
    def root_path(self) -> Path:
        return Path(self.root)

    @property
    def run_path(self) -> Path:
        return Path(self.run_dir)

    @property
    def image_policy(self) -> collection.Policy:
        """The policy of automatic image garbage collection. Raises ``errors.Invalid``."""
        high, low = self.image_gc_high, self.image_gc_low
        if not 0 < low <= high <= 100:
            raise errors.Invalid(
                f"image_gc_high {high:g}, image_gc_low {low:g}: expected per cent of the disk, the low mark not "
                "over the high one; a high one of 100 has no image go for the disk's sake"
            )
        ages = (_age(name, getattr(self, name)) for name in ("image_gc_min_age", "image_gc_max_age"))
        return collection.Policy(high, low, *ages)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pydockd",
        description="Keeps this host's containers the way its manifests say.",
        epilog="Flags win over the environment, the environment over the configuration file, and the file over the "
        "defaults; --print-config shows the outcome.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--config", metavar="FILE", help=f"TOML configuration (default: {DEFAULT_CONFIG}, if it exists)")
    add("--root", metavar="DIR", help="state: database, images, logs (default: /var/lib/pydock)")
    add("--run-dir", metavar="DIR", help="run-time files, on tmpfs (default: /run/pydock)")
    add("--manifests", metavar="DIR", help=f"the watched directory of manifests (default: {DEFAULT_MANIFESTS})")
    listen = "listen here: unix:///PATH or fd:// (systemd activation); may be repeated (default: RUN_DIR/pydock.sock)"
    add("-H", "--host", action="append", dest="hosts", metavar="ADDRESS", help=listen)
    add("--group", metavar="NAME", help="group that may use the unix sockets (mode 0660)")
    add("--exec-runtime", metavar="NAME|PATH", help="OCI runtime (default: the first of crun, runc that works here)")
    driver = f"{' or '.join(graph_table.DRIVERS)} (default: ${STORAGE_DRIVER}, or the one in use, or what works here)"
    add("--storage-driver", metavar="NAME", help=driver)
    option = "option of the graph, such as max-layer-bytes=10Gi or overlay.mountopt=nodev; may be repeated"
    add("--storage-opt", action="append", dest="storage_opts", metavar="KEY=VALUE", help=option)
    add(
        "--instance",
        metavar="NAME",
        help="name in bridges, firewall table and slice; several can run side by side (default: default)",
    )
    mirror = "a mirror of docker.io, asked before it: https://HOST[:PORT]; may be repeated (default: none)"
    add("--registry-mirror", action="append", dest="registry_mirrors", metavar="URL", help=mirror)
    add("--log-max-size", metavar="SIZE", help="of each file of a container's log (default: 10Mi)")
    add("--log-max-files", type=int, metavar="N", help="files kept of a container's log (default: 3)")
    server = "name server for containers where the host's own is on its loopback; may be repeated (default: none)"
    add("--dns", action="append", metavar="ADDRESS", help=server)
    add("--pidfile", metavar="FILE", help="default: RUN_DIR/pydockd.pid")
    user = "the unprivileged user of the API process (default: pydock-api, or a number that no account has)"
    add("--api-user", metavar="USER", help=user)
    add("--resync", type=float, metavar="SECONDS", help="pause between full looks that need no event (default: 300)")
    _add_collection(add)
    add("--debug", action="store_true", default=None, help="verbose log; SIGQUIT dumps the stacks of all threads")
    add("--print-config", action="store_true", help="print the settings in force as TOML and exit")
    add("--version", action="version", version=f"pydockd {__version__}")
    return parser


def _add_collection(add: Callable[..., argparse.Action]) -> None:
    """The flags of automatic image garbage collection."""
    add(
        "--image-gc-high",
        type=float,
        metavar="PERCENT",
        help="when more of the disk is used, unused images are removed (default: 85; 100: none)",
    )
    add(
        "--image-gc-low",
        type=float,
        metavar="PERCENT",
        help="they are removed until no more than this is used (default: 80)",
    )
    add("--image-gc-min-age", metavar="TIME", help="images pulled or used within this time are kept (default: 2m)")
    add(
        "--image-gc-max-age",
        metavar="TIME",
        help="images unused for this long are removed in any case, such as 30d (default: 0, never)",
    )


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[Settings, bool]:
    """Settings from the command line, the environment and the file, and whether only to print them.

    Raises ``errors.Invalid`` for a bad file or value; a bad command line exits with status 2, as argparse does.
    """
    flags = vars(_parser().parse_args(argv))
    print_only = bool(flags.pop("print_config"))
    config = flags.pop("config")
    path = config or DEFAULT_CONFIG
    given = _read(path, required=config is not None)
    with _blamed(path):
        registries = make(given).registries()
        if not print_only:
            registries.check_files()
    if driver := environ.get(STORAGE_DRIVER):
        given["storage_driver"] = driver
    _take_log_flags(flags, given)
    given.update({name: value for name, value in flags.items() if value is not None})
    return make(given), print_only


def _take_log_flags(flags: dict[str, Any], given: dict[str, Any]) -> None:
    """The flags of the table ``logs``."""
    found = {name: flags.pop(f"log_{name}") for name in Logs.__struct_fields__}
    wanted = {name: value for name, value in found.items() if value is not None}
    if wanted:
        given["logs"] = {**given.get("logs", {}), **wanted}


@contextmanager
def _blamed(path: str) -> Iterator[None]:
    """Names the file that holds the wrong value in the error."""
    try:
        yield
    except errors.Invalid as error:
        raise errors.Invalid(f"configuration {path}: {error.message}") from None


def make(given: dict[str, Any]) -> Settings:
    """Checks the settings, and fills in those that follow from others."""
    tables = given.get("registry", {})
    settings = _convert(given if not isinstance(tables, dict) else given | {"registry": {}}, Settings, "")
    if isinstance(tables, dict):
        found = {name: _convert(table, registry_hosts.Host, f'registry."{name}": ') for name, table in tables.items()}
        settings = msgspec.structs.replace(settings, registry=found)
    settings.registries()
    names.check_instance(settings.instance)
    settings.logs.limits()
    for server in settings.dns:
        _check_name_server(server)
    for name in ("root", "run_dir", "manifests", "certs_dir", "trust_policy"):
        if not os.path.isabs(getattr(settings, name)):
            raise errors.Invalid(f"{name} {getattr(settings, name)!r}: expected an absolute path")
    if settings.resync <= 0:
        raise errors.Invalid(f"resync {settings.resync}: expected a number of seconds above 0")
    if settings.storage_driver:
        graph_options.driver(settings.storage_driver)
    graph_options.parse(settings.storage_opts)
    settings.image_policy  # noqa: B018 - checks
    listen = tuple(check_host(host) for host in settings.hosts) or (f"unix://{settings.run_dir}/pydock.sock",)
    pidfile = settings.pidfile or f"{settings.run_dir}/{PID_FILE}"
    return msgspec.structs.replace(settings, hosts=listen, pidfile=pidfile)


def _convert(given: Any, kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise errors.Invalid(f"{where}{error}") from None


def _age(name: str, text: str) -> float:
    try:
        return durations.seconds(text)
    except ValueError as error:
        raise errors.Invalid(f"{name}: {error}") from None


def _check_name_server(text: str) -> None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise errors.Invalid(f"dns {text[:60]!r}: expected an IP address of a name server") from None
    if address.is_loopback or address.is_unspecified:
        raise errors.Invalid(f"dns {text}: containers cannot reach the host's loopback: give an address of the network")


def check_host(host: str) -> str:
    """Returns ``host`` if pydockd can listen there."""
    if host in ("fd://", "fd://*"):
        return "fd://"
    if host.startswith("unix:///"):
        return host
    if host.startswith("tcp://"):
        raise errors.Invalid(
            f"-H {host}: tcp:// needs TLS with client certificates, which this version does not have; listen on unix:///PATH"
        )
    raise errors.Invalid(f"-H {host}: expected unix:///ABSOLUTE/PATH or fd://")


def _read(path: str, required: bool) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        if required:
            raise errors.Invalid(f"configuration {path}: no such file") from None
        return {}
    except OSError as error:
        raise errors.Invalid(f"configuration {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"configuration {path}: {error}") from None


def to_toml(settings: Settings) -> str:
    """The settings as a file that ``--config`` takes."""

    def value(item: Any) -> str:
        if isinstance(item, bool):
            return "true" if item else "false"
        if isinstance(item, str):
            return msgspec.json.encode(item).decode()
        if isinstance(item, tuple):
            return "[" + ", ".join(value(part) for part in item) + "]"
        return str(item)

    def lines(of: msgspec.Struct) -> str:
        given = ((name, getattr(of, name)) for name in of.__struct_fields__)
        plain = ((name, item) for name, item in given if not isinstance(item, Mapping | msgspec.Struct | None))
        return "".join(f"{name} = {value(item)}\n" for name, item in plain)

    logs = f"\n[logs]\n{lines(settings.logs)}"
    tables = (f"\n[registry.{value(name)}]\n{lines(table)}" for name, table in settings.registry.items())
    return lines(settings) + logs + "".join(tables)
