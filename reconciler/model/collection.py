"""When images go that nobody asks for any more."""

from __future__ import annotations

import msgspec


class Policy(msgspec.Struct, frozen=True):
    """Over ``high`` per cent of the disk images go until ``low`` per cent are used; at 100 none goes for that. One that
    was not used for ``max_age`` seconds goes whatever the disk (0: none does), and none before ``min_age``. The numbers
    are the kubelet's defaults."""

    high: float = 85.0
    low: float = 80.0
    min_age: float = 120.0
    max_age: float = 0.0
