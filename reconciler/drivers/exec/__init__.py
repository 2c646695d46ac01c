"""The exec driver: containers' processes, run by an OCI runtime under conmon.

``base`` is the manual. ``open_driver`` makes the real one; ``pids`` tells processes apart for certain.
"""

from __future__ import annotations

from pathlib import Path

from reconciler.drivers.exec import base


def open_driver(
    instance: str, run_dir: Path, runtime: str | None = None, log_limits: base.LogLimits | None = None
) -> base.ExecDriver:
    """The driver of one instance, with its files below ``run_dir`` (on tmpfs, such as /run/pydock).

    ``runtime`` is the name or the path of the OCI runtime to use; None takes the first of crun and runc that works.
    ``log_limits`` bound each container's log; None stands for the defaults of ``base.LogLimits``.
    Raises ``Permanent`` when no cgroups are mounted; whether a runtime works, ``probe`` tells.
    """
    from reconciler.drivers.exec import driver

    return driver.Driver(instance, run_dir, runtime, log_limits or base.LogLimits())
