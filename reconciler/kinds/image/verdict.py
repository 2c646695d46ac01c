"""What an Image object's status says."""

from __future__ import annotations

from reconciler.kinds.base.verdict import Case, Verdict, unready
from reconciler.kinds.image import refresh
from reconciler.kinds.image.tasks import Check
from reconciler.model import references
from reconciler.model.observed import Condition


def verdict(case: Case) -> Verdict:
    if any(isinstance(step.task, Check) for step in case.steps) and refresh.policy(case.desired) == "Always":
        return Verdict("Pending", False, "Checking", case.steps[0].cause)
    if case.waits:
        return unready("Failed" if case.waits[0].reason == "Error" else "Pending", case.waits, "")
    if f"pull {references.normalised(str(case.desired.spec['reference']))}" in case.planned:
        return Verdict("Pending", False, "Pulling")
    return Verdict("Present", True, "Present")


def conditions(case: Case) -> list[Condition]:
    """A registry that did not answer leaves the image as it is: people see since when nobody knows of a newer one."""
    observed = case.observed
    if not observed.error or not observed.error_step.endswith(f"/{Check.action}"):
        return []
    return [Condition(type="UpToDate", status="False", reason="CheckFailed", message=observed.error)]
