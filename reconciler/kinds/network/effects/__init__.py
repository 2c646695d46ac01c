"""How the steps of networks are carried out, and how a network is observed."""

from __future__ import annotations

from reconciler.engine.effects import Effects, StepHandler
from reconciler.kinds.network.effects import observe, remains, steps, watch

EFFECTS = Effects(
    steps={
        "network_create": StepHandler(steps.claim_make, steps.create, did="Created"),
        "network_update": StepHandler(steps.claim_make, steps.update, did="Updated"),
        "network_repair": StepHandler(steps.claim, steps.repair, did="Repaired"),
        "network_remove": StepHandler(steps.claim, steps.remove, did="Removed"),
    },
    observe=observe.observe,
    watch=watch.watch,
    remains=remains.remains,
)
