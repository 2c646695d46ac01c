"""Limits of a container as the kernel's files say them, on cgroup v1, hybrid and v2."""

from __future__ import annotations

import errno
import os

from reconciler import failpoints
from reconciler.drivers.exec import base, cgroups
from reconciler.errors import Permanent, Temporary
from reconciler.model import sizes

CPU_PERIOD = 100_000
#: the kernel takes no quota below one millisecond
CPU_QUOTA_MIN = 1_000
#: v1 shows "no limit" as the largest page-aligned number
_UNLIMITED = 1 << 62
#: what lifts a limit; where the kernel has no such file there is nothing to lift
_NO_LIMIT = ("max", "-1", f"max {CPU_PERIOD}", str(CPU_PERIOD))
_PAGE = os.sysconf("SC_PAGESIZE")


#: tasks that a runtime's own first process may need until the program takes its place: runc's is written in Go and
#: has 5 to 9 threads, depending on the machine
_RUNTIME_PIDS = 64


def starting_pids(pids: int) -> int:
    """The limit under which a runtime creates the process; 0 is none. ``pids`` is in force before the program runs."""
    return max(pids, _RUNTIME_PIDS) if pids else 0


def cpu_quota(cpu_millis: int) -> int:
    """Microseconds of ``CPU_PERIOD`` for thousandths of a core; 0 is no limit."""
    return max(CPU_QUOTA_MIN, cpu_millis * CPU_PERIOD // 1000) if cpu_millis else 0


def texts(mode: cgroups.Mode, limits: base.Limits, swap: bool) -> dict[tuple[str, str], str]:
    """What is written for ``limits``: (controller, file) → text, in an order that is right for raising a limit.

    ``swap``: the kernel accounts swap; a container gets none beyond its memory limit.
    """
    quota = cpu_quota(limits.cpu_millis)
    pids_text = str(limits.pids or "max")
    if mode == "v2":
        return {
            ("cpu", "cpu.max"): f"{quota or 'max'} {CPU_PERIOD}",
            **({("memory", "memory.swap.max"): "0" if limits.memory else "max"} if swap else {}),
            ("memory", "memory.max"): str(limits.memory or "max"),
            ("pids", "pids.max"): pids_text,
        }
    memory = str(limits.memory or -1)
    return {
        ("cpu", "cpu.cfs_period_us"): str(CPU_PERIOD),
        ("cpu", "cpu.cfs_quota_us"): str(quota or -1),
        **({("memory", "memory.memsw.limit_in_bytes"): memory} if swap else {}),
        ("memory", "memory.limit_in_bytes"): memory,
        ("pids", "pids.max"): pids_text,
    }


def write(layout: cgroups.Layout, group: str, limits: base.Limits) -> None:
    """Sets the limits in force, memory first. Raises ``Temporary`` and changes nothing while more memory is in use than
    the limit allows, ``Permanent`` when the kernel refuses a limit for another reason."""
    hold_back(layout, group, limits)
    waiting = texts(layout.mode, limits, accounts_swap(layout, group))
    memory = {key: text for key, text in waiting.items() if key[0] == "memory"}
    _write_all(layout, group, memory, limits)
    _write_all(layout, group, {key: text for key, text in waiting.items() if key not in memory}, limits)


def hold_back(layout: cgroups.Layout, group: str, limits: base.Limits) -> None:
    """Raises ``Temporary`` where a limit below what is in use would end processes: cgroup v2 takes it and kills. What
    the kernel can take back by itself (the cache of files) does not count. v1 refuses such a limit by itself."""
    directory = layout.directory("memory", group)
    if layout.mode != "v2" or not limits.memory:
        return
    used, stat = cgroups.read_text(f"{directory}/memory.current"), cgroups.read_text(f"{directory}/memory.stat")
    if used is None or stat is None:
        return
    parts = {name: int(value) for name, _, value in (line.partition(" ") for line in stat.splitlines())}
    given_back = parts.get("file", 0) - parts.get("shmem", 0) + parts.get("slab_reclaimable", 0)
    if int(used) - given_back > limits.memory:
        raise _too_much_in_use(int(used) - given_back, limits)


def _too_much_in_use(used: int, limits: base.Limits) -> Temporary:
    wanted, held = sizes.text(limits.memory), "the limit in force stays until the container uses less"
    return Temporary(f"{sizes.text(used)} of memory are in use, more than the limit of {wanted}: {held}")


def _write_all(layout: cgroups.Layout, group: str, waiting: dict[tuple[str, str], str], limits: base.Limits) -> None:
    # v1 takes no memory limit above that of memory+swap: which of the two goes first depends on the direction
    again = [key for key in waiting if _write(layout, group, key, waiting[key])]
    refused = {key: error for key in again if (error := _write(layout, group, key, waiting[key]))}
    if any(error.errno == errno.EBUSY for error in refused.values()):
        # the other refusal is its consequence
        used = cgroups.read_text(f"{layout.directory('memory', group)}/memory.usage_in_bytes")
        raise _too_much_in_use(int(used or 0), limits)
    for key, error in refused.items():
        raise Permanent(f"{key[1]} takes no {waiting[key]}: {error.strerror}") from error


def hold_pids(layout: cgroups.Layout, group: str, pids: int) -> None:
    """Lowers the limit of tasks to that of the program, once the runtime's first process waits for its start and needs
    no more threads. Raises ``Temporary`` when the kernel refuses."""
    path = f"{layout.directory('pids', group)}/pids.max"
    try:
        cgroups.write_text(path, str(pids))
    except FileNotFoundError:
        # the process has ended meanwhile, and its group is gone
        return


def _write(layout: cgroups.Layout, group: str, key: tuple[str, str], text: str) -> OSError | None:
    directory = layout.directory(key[0], group)
    path = f"{directory}/{key[1]}"
    unlimited = text in _NO_LIMIT
    if unlimited and not (directory and os.path.exists(path)):
        return None
    try:
        cgroups.write_text(path, text)
    except OSError as error:
        return error
    failpoints.hit("exec.limit.write.after")
    return None


def accounts_swap(layout: cgroups.Layout, group: str) -> bool:
    directory = layout.directory("memory", group)
    name = "memory.swap.max" if layout.mode == "v2" else "memory.memsw.limit_in_bytes"
    return bool(directory) and os.path.exists(f"{directory}/{name}")


def read(layout: cgroups.Layout, group: str) -> base.Limits | None:
    """The limits in force; None when the group does not exist."""
    directory = {name: layout.directory(name, group) for name in ("cpu", "memory", "pids")}
    if not any(path and os.path.isdir(path) for path in directory.values()):
        return None
    if layout.mode == "v2":
        quota, period = (cgroups.read_text(f"{directory['cpu']}/cpu.max") or f"max {CPU_PERIOD}").split()
        memory = cgroups.read_text(f"{directory['memory']}/memory.max")
    else:
        quota = cgroups.read_text(f"{directory['cpu']}/cpu.cfs_quota_us") or "-1"
        period = cgroups.read_text(f"{directory['cpu']}/cpu.cfs_period_us") or str(CPU_PERIOD)
        memory = cgroups.read_text(f"{directory['memory']}/memory.limit_in_bytes")
    cpu = _number(quota)
    return base.Limits(
        cpu_millis=cpu * 1000 // (int(period) or CPU_PERIOD),
        memory=_number(memory),
        pids=_number(cgroups.read_text(f"{directory['pids']}/pids.max")),
    )


def match(wanted: base.Limits, found: base.Limits) -> bool:
    """Whether ``found`` is what the kernel makes of ``wanted``: memory in whole pages, cpu from 10 thousandths on."""
    cpu = max(wanted.cpu_millis, CPU_QUOTA_MIN * 1000 // CPU_PERIOD) if wanted.cpu_millis else 0
    # systemd counts in hundredths of a core, upwards
    steps = (cpu, -(-cpu // 10) * 10)
    return found.cpu_millis in steps and found.pids == wanted.pids and found.memory // _PAGE == wanted.memory // _PAGE


def files(layout: cgroups.Layout, group: str) -> tuple[str, ...]:
    """The limit files that exist."""
    found = (
        f"{layout.directory(controller, group)}/{name}"
        for controller, name in texts(layout.mode, base.Limits(), swap=False)
    )
    return tuple(path for path in found if os.path.exists(path))


def _number(text: str | None) -> int:
    """A limit file's number; 0 for none."""
    word = (text or "max").strip()
    if word == "max":
        return 0
    value = int(word)
    return 0 if value < 0 or value >= _UNLIMITED else value
