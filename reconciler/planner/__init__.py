"""The planner: what must be done, and why, so that observed state agrees with desired state.

Pure: it does no I/O, reads no clock and logs nothing; the moment and all deadlines come in as values. It decides
everything; whoever carries out a step decides nothing. Equal inputs give equal plans.
"""

from __future__ import annotations

from reconciler.kinds.base.retry import after_success, attempt, same_wish
from reconciler.planner.checking import check
from reconciler.planner.conditions import status, with_status
from reconciler.planner.failures import after_error, this_boot
from reconciler.planner.graph import find_cycle
from reconciler.planner.planning import dependencies, plan
from reconciler.planner.render import text, to_json

__all__ = [
    "after_error",
    "after_success",
    "attempt",
    "check",
    "dependencies",
    "find_cycle",
    "plan",
    "same_wish",
    "status",
    "text",
    "this_boot",
    "to_json",
    "with_status",
]
