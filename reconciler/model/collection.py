"""When unused images are collected."""

from __future__ import annotations

import msgspec


class Policy(msgspec.Struct, frozen=True):
    """When more than ``high`` per cent of the disk are used, unused images are removed until ``low`` per cent are (100:
    never for that reason). An image that was not used for ``max_age`` seconds is removed in any case (0: never), and
    none is removed before ``min_age``. The numbers are the kubelet's defaults."""

    high: float = 85.0
    low: float = 80.0
    min_age: float = 120.0
    max_age: float = 0.0
