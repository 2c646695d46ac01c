"""The controller's composition root: the one place that names its concrete parts."""

from __future__ import annotations

import logging
import os
import platform
import socket
from collections.abc import Iterable, Sequence
from typing import Any

from reconciler import __version__, build_info, errors, store
from reconciler.bootstrap import accounts
from reconciler.bootstrap import api as api_process
from reconciler.control import life, notify
from reconciler.control.events import Events
from reconciler.control.housekeeping import Housekeeping
from reconciler.control.observer import Observer
from reconciler.control.reconcile import Reconciler
from reconciler.control.sources.manager import Manager
from reconciler.drivers import exec as exec_driver
from reconciler.drivers.graph import opening as graph_driver
from reconciler.drivers.graph import options as graph_options
from reconciler.drivers.network import driver as network_driver
from reconciler.drivers.registry import mirrors as registry_driver
from reconciler.engine.engine import Engine
from reconciler.engine.parts import Clock, Parts
from reconciler.engine.table import steps
from reconciler.images.leftovers import Leftovers
from reconciler.images.service import ImageService
from reconciler.images.trust import Trust
from reconciler.jobs import table
from reconciler.model import kinds
from reconciler.model.keys import Key
from reconciler.settings import Settings
from reconciler.store.base import Store
from reconciler.store.logins import Logins

log = logging.getLogger("pydock")


def start_api(settings: Settings, sockets: Sequence[socket.socket]) -> life.Api:
    """The API process, listening on ``sockets`` as an unprivileged user."""
    uid, gid = accounts.api_user(settings.api_user, settings.instance)

    def spawn() -> life.ApiProcess:
        return api_process.spawn_api(sockets, uid, gid, debug=settings.debug)

    return life.Api(spawn, [listener.getsockname() for listener in sockets])


def build(settings: Settings, api: life.Api) -> life.Daemon:
    """Opens the store first (it refuses before anything is touched), then drivers, then what works with them."""
    opened = store.open_store(settings.root_path / "state.db")
    parts = _parts(settings, opened)
    engine = Engine(parts, table.handlers(), steps())
    parts.commands = engine.commands
    holder: list[Reconciler] = []

    def look(keys: Iterable[Key], closely: bool = False) -> None:
        holder[0].look(keys, closely)

    events = Events(parts, look)
    reconciler = Reconciler(parts, engine, Observer(parts), settings.workers, events.track)
    holder.append(reconciler)
    parts.look = reconciler.look
    sources = Manager(opened, reconciler.look, _show_trouble)
    sources.start(f"dir:{os.path.abspath(settings.manifests)}")
    parts.sources = [sources]
    return life.Daemon(
        settings, parts, engine, reconciler, events, Housekeeping(settings, parts, engine, reconciler), sources, api
    )


def _show_trouble(text: str) -> None:
    """What is wrong with a whole source stands in ``systemctl status pydockd``, from the start on."""
    notify.notify(f"STATUS={text or 'every source is followed'}")


def _parts(settings: Settings, opened: Store) -> Parts:
    runtime = exec_driver.open_driver(
        settings.instance, settings.run_path, settings.exec_runtime or None, settings.logs.limits()
    )
    facts = runtime.probe()
    graph, snapshots = graph_driver.open_graph(
        settings.root_path / "graph", settings.storage_driver or None, graph_options.parse(settings.storage_opts)
    )
    if settings.storage_driver not in ("", snapshots.name):
        log.info("storage driver %s is the one that is called %s here", settings.storage_driver, snapshots.name)
    network = network_driver.open_driver(settings.instance, settings.run_path, name_servers=settings.dns)
    drivers = {
        "exec": f"{facts.name} {facts.version}",
        "graph": snapshots.probe(),
        "network": network.probe(),
        "registry": "oci distribution 1.1, docker v2 schema 2",
    }
    if warning := network.resolv_conf().warning:
        log.warning("%s", warning)
    policy = Trust(settings.trust_policy)
    try:
        policy.check()
    except errors.Permanent as error:  # what is here runs all the same
        log.error("%s", error.message)
    clock, logins = Clock(), Logins(settings.root_path)
    registry = registry_driver.MirroredClient(settings.registries())
    images = ImageService(
        store=opened,
        graph=graph,
        graph_driver=snapshots,
        registry=registry,
        logins=logins,
        containers=runtime.list,
        now=lambda: clock.now().wall,
        leftovers=Leftovers(opened, graph),
        policy=settings.image_policy,
        trust=policy,
    )
    return Parts(
        instance=settings.instance,
        log_dir=str(settings.root_path / "logs"),
        store=opened,
        exec=runtime,
        graph=graph,
        graph_driver=snapshots,
        network=network,
        registry=registry,
        logins=logins,
        images=images,
        sources=[],
        version=_version(settings, drivers),
        clock=clock,
    )


def _version(settings: Settings, drivers: dict[str, str]) -> dict[str, Any]:
    return {
        "version": __version__,
        "apiVersion": kinds.API_VERSION,
        "commit": build_info.commit(),
        "python": platform.python_version(),
        "os": platform.system().lower(),
        "arch": platform.machine(),
        "kernel": os.uname().release,
        "instance": settings.instance,
        "drivers": drivers,
    }
