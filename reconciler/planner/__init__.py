"""The planner: what must be done, and why, so that observed state agrees with desired state.

Pure: it does no I/O, reads no clock and logs nothing; the moment and all deadlines come in as values. It decides
everything: who carries a step out decides nothing, and looks again afterwards. Equal inputs give equal plans.
"""

from __future__ import annotations

from reconciler.planner.conditions import status
from reconciler.planner.graph import find_cycle
from reconciler.planner.planning import dependencies, needs_users, plan
from reconciler.planner.render import text, to_json
from reconciler.planner.retry import (
    GOOD_RUN,
    after_error,
    after_exit,
    after_success,
    attempt,
    backoff,
    same_wish,
    this_boot,
)
from reconciler.planner.steps import check

__all__ = [
    "GOOD_RUN",
    "after_error",
    "after_exit",
    "after_success",
    "attempt",
    "backoff",
    "check",
    "dependencies",
    "find_cycle",
    "needs_users",
    "plan",
    "same_wish",
    "status",
    "text",
    "this_boot",
    "to_json",
]
