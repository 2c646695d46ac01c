"""pydock's own front: Kubernetes' resources and ``Status`` objects, and the other things of ``reconciler.requests``.

``routes`` makes the routes from the declarations; ``plain`` answers whatever needs no more than its declaration,
``objects`` speaks Kubernetes' protocol about objects, ``service`` tells of the service itself."""

from __future__ import annotations

from reconciler.api.fronts.native.routes import make

__all__ = ["make", "owns"]


def owns(path: str) -> bool:
    """Whatever no other front owns."""
    return True
