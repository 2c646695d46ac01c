"""The stop signal means in a plan what it means in a manifest's check."""

from __future__ import annotations

import signal

import pytest

from reconciler.kinds.container import restarts


@pytest.mark.parametrize(
    ("text", "number"),
    [("SIGQUIT", 3), ("HUP", 1), ("15", 15), ("SIGRTMIN+3", 37), ("SIGRTMAX-1", 63), ("RTMAX", 64)],
)
def test_every_signal_that_is_accepted(text: str, number: int) -> None:
    assert restarts.signal_number(text) == number


@pytest.mark.parametrize("text", ["", "SIGNOTHING", "0", "99", "SIGRTMAX+1", "_DFL"])
def test_an_images_nonsense_is_sigterm(text: str) -> None:
    assert restarts.signal_number(text) == signal.SIGTERM
