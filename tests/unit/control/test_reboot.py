"""After a reboot nothing of the run directory is left: networks come first, and then what is to run."""

from __future__ import annotations

from pathlib import Path

from reconciler.model.keys import Key
from reconciler.testing.loop import Loop, container, container_key, network

NAMES = ("always", "failed", "never", "ended", "stopped", "own")


def reboot(loop: Loop) -> None:
    """Another boot id; no process, no bridge, no namespace, no rules."""
    for run in list(loop.world.runs):
        loop.exec.lose(run)
    loop.network.host.networks.clear()
    loop.network.host.endpoints.clear()
    loop.clock.boot = "another-boot"


def test_starts_come_after_their_networks_and_none_fails(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    try:
        loop.apply(network("net"))
        loop.apply(container("always"))
        loop.apply(container("failed", restartPolicy="OnFailure"))
        loop.apply(container("never", restartPolicy="Never"))
        loop.apply(container("ended", restartPolicy="Never", command=["sh", "-c", "exit 7"]))
        loop.apply(container("own", networks=[{"name": "net"}]))
        loop.apply(container("stopped"))
        loop.ask("override", namespace="default", name="stopped", action="stop")
        loop.settle()
        loop.look(container_key("ended"))
        keys = [container_key(name) for name in NAMES]
        before = {key: len(loop.jobs(key)) for key in keys}
        reboot(loop)
        # containers first: their plans must wait for the networks by themselves
        loop.reconciler.look([*keys, Key.of("network", "net")], closely=True)
        loop.settle()
        jobs = {key.name: [(job.name, job.status) for job in loop.jobs(key)[before[key] :]] for key in keys}
        assert {name: status for name, found in jobs.items() for _, status in found if status != "done"} == {}
        running = {name for name in NAMES if loop.observed(name).process == "running"}
        # the end of the host is no end of their own: what ran is to run
        assert running == {"always", "failed", "never", "own"}
        assert not any("Failed" in reason for key in keys for reason in loop.reasons(key))
    finally:
        loop.close()
