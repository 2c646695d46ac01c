"""The spec types by their former place; they stand in ``kinds/KIND/spec.py`` and ``kinds/container/aspects/``."""

from __future__ import annotations

from reconciler.kinds.container.aspects.mounts import Mount as Mount
from reconciler.kinds.container.aspects.networks import NetworkRef as NetworkRef
from reconciler.kinds.container.spec import ContainerSpec as ContainerSpec
from reconciler.kinds.network.spec import NetworkSpec as NetworkSpec
