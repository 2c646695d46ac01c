"""The real driver keeps the interface's promises."""

from __future__ import annotations

from reconciler.testing import network_conformance


class TestLinuxNetwork(network_conformance.NetworkConformance):
    """The suite, on this kernel."""
