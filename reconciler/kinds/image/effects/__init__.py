"""How the steps of images are carried out, and how an Image object is observed."""

from __future__ import annotations

from reconciler.engine.effects import Effects, StepHandler
from reconciler.kinds.image.effects import observe, steps

EFFECTS = Effects(
    steps={
        "check": StepHandler(steps.claim, steps.check),
        "pull": StepHandler(
            steps.claim, steps.pull, doing="Pulling", did="Pulled", told=steps.told_pull, ordered=False
        ),
        "untag": StepHandler(steps.claim_untag, steps.untag, did="Removed"),
    },
    observe=observe.observe,
)
