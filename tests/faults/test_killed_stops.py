"""A daemon that is killed in the middle of a stop goes on with it: the rest of the grace period, and no second
signal."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from reconciler.testing import wait
from reconciler.testing.daemon import Pydockd, container

GRACE = 8
STUBBORN = "trap 'echo asked to end' TERM; echo ready; while :; do sleep 0.1; done"


def test_the_rest_of_the_grace_period_counts_and_the_signal_is_sent_once(
    make_host: Callable[..., Pydockd], image: str
) -> None:
    host = make_host().start()
    host.apply(container("web", image, command=["sh", "-c", STUBBORN], terminationGracePeriodSeconds=GRACE))
    host.wait_ready_container("web")
    wait.until(lambda: "ready" in host.cli("logs", "web").stdout, 20, "the process to have its trap")
    began = time.monotonic()
    assert host.cli("stop", "web").returncode == 0
    wait.until(lambda: "asked to end" in host.cli("logs", "web").stdout, 20, "the signal")
    time_left = began + GRACE / 2 - time.monotonic()
    # so late that a grace period begun anew would show
    wait.until(lambda: time.monotonic() > began + GRACE / 2, time_left + 5, "half of the grace period")
    host.kill()
    host.start()
    wait.until(lambda: host.status("web").get("phase") == "Stopped", 60, "the container to be stopped")
    took = time.monotonic() - began
    assert took >= GRACE - 0.5, took
    assert took < 1.5 * GRACE - 1, took
    assert host.status("web")["lastExit"]["signal"] == signal.SIGKILL
    assert host.cli("logs", "web").stdout.count("asked to end") == 1


def test_a_second_deletion_with_a_shorter_grace_period_cuts_the_first_short(
    make_host: Callable[..., Pydockd], image: str
) -> None:
    host = make_host().start()
    host.apply(container("web", image, command=["sh", "-c", STUBBORN], terminationGracePeriodSeconds=300))
    host.wait_ready_container("web")
    assert host.cli("delete", "container", "web", "--wait=false").returncode == 0
    wait.until(lambda: "asked to end" in host.cli("logs", "web").stdout, 20, "the signal")
    done = host.cli("delete", "container", "web", "--now")
    assert done.returncode == 0, done.stderr
    host.wait_gone("Container", "web", 20)
