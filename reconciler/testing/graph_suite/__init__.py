"""What every graph and its driver must do. A driver's test subclasses ``GraphSuite`` and gives it the fixture
``place``."""

from __future__ import annotations

from reconciler.testing.graph_suite.blobs import Blobs
from reconciler.testing.graph_suite.checking import Checking
from reconciler.testing.graph_suite.diffs import Diffs
from reconciler.testing.graph_suite.fidelity import Fidelity
from reconciler.testing.graph_suite.hostile import Hostile
from reconciler.testing.graph_suite.layers import Layers
from reconciler.testing.graph_suite.merging import Merging
from reconciler.testing.graph_suite.place import Place
from reconciler.testing.graph_suite.snapshots import Snapshots

__all__ = ["GraphSuite", "Place"]


class GraphSuite(Blobs, Layers, Fidelity, Merging, Hostile, Snapshots, Checking, Diffs):
    """All of it, theme by theme."""
