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
from reconciler.drivers import families
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
    """Opens the store first, since it refuses before anything is touched; then the drivers, then what works with
    them."""
    opened = store.open_store(settings.root_path / "state.db")
    parts = _parts(settings, opened)
    engine = Engine(parts, table.handlers(), steps())
    parts.commands = engine.commands

    def look(keys: Iterable[Key], closely: bool = False) -> None:
        # events begin with the daemon's start, when the loop is there
        reconciler.look(keys, closely)

    events = Events(parts, look)
    reconciler = Reconciler(parts, engine, Observer(parts), settings.workers, events.track)
    parts.look = reconciler.look
    sources = Manager(opened, reconciler.look, _show_trouble)
    sources.start(f"dir:{os.path.abspath(settings.manifests)}")
    parts.sources = [sources]
    return life.Daemon(
        settings, parts, engine, reconciler, events, Housekeeping(settings, parts, engine, reconciler), sources, api
    )


def _show_trouble(text: str) -> None:
    """Shows trouble with a whole source in ``systemctl status pydockd``, from the start on."""
    notify.notify(f"STATUS={text or 'every source is followed'}")


def _options(settings: Settings) -> dict[str, dict[str, Any]]:
    """What the host's owner said about each family of drivers."""
    return {
        "exec": {"runtime": settings.exec_runtime, "logs": settings.logs.limits()},
        "graph": {"driver": settings.storage_driver, "options": settings.storage_opts},
        "network": {"name_servers": settings.dns},
        "registry": {"registries": settings.registries()},
    }


def _parts(settings: Settings, database: Store) -> Parts:
    opened = families.open_all(settings.instance, settings.root_path, settings.run_path, _options(settings))
    graph, snapshots = opened["graph"].driver
    runtime, network, registry = (opened[name].driver for name in ("exec", "network", "registry"))
    policy = Trust(settings.trust_policy)
    try:
        policy.check()
    except errors.Permanent as error:  # what is here runs all the same
        log.error("%s", error.message)
    clock, logins = Clock(), Logins(settings.root_path)
    images = ImageService(
        store=database,
        graph=graph,
        graph_driver=snapshots,
        registry=registry,
        logins=logins,
        containers=runtime.list,
        now=lambda: clock.now().wall,
        leftovers=Leftovers(database, graph),
        policy=settings.image_policy,
        trust=policy,
    )
    return Parts(
        instance=settings.instance,
        log_dir=str(settings.root_path / "logs"),
        store=database,
        exec=runtime,
        graph=graph,
        graph_driver=snapshots,
        network=network,
        registry=registry,
        logins=logins,
        images=images,
        sources=[],
        version=_version(settings, {name: each.version for name, each in opened.items()}),
        drivers={name: each.driver for name, each in opened.items()},
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
