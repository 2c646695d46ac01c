"""Observed state: what drivers saw of one object, kept as one row by uid. Each kind adds fields to ``Observed``.

Times named ``*_at`` are Unix seconds for people; deadlines named ``*_mono`` are CLOCK_BOOTTIME seconds, valid only
while ``boot_id`` is this boot's, so that setting the clock does not change a back-off.
"""

from __future__ import annotations

from typing import Literal

import msgspec

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    type: str
    status: ConditionStatus
    reason: str
    message: str = ""
    last_transition_time: float = 0.0


class Observed(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What every kind has. ``error`` is the message of the last failed step, ``error_count`` the number of its failures
    in a row, ``error_step`` what was tried, in the planner's words (something else may be tried at once).
    ``observed_generation`` is the newest generation that was planned for. ``torn``: a step of its removal has begun, so
    its deletion can no longer be taken back."""

    observed_generation: int = 0
    error: str = ""
    error_count: int = 0
    error_step: str = ""
    retry_mono: float = 0.0
    boot_id: str = ""
    conditions: tuple[Condition, ...] = ()
    phase: str = "Pending"
    torn: bool = False
