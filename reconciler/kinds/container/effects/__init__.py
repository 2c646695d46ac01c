"""How the steps of containers are carried out, and how a container is observed."""

from __future__ import annotations

from reconciler.engine.effects import Effects, StepHandler
from reconciler.kinds.container.effects import common, making, observe, process, remains, upkeep, watch

EFFECTS = Effects(
    steps={
        "create": StepHandler(making.claim_create, making.create, did="Created", told=making.told_create),
        "start": StepHandler(process.claim_start, process.start, did="Started", told=process.told_start),
        "stop": StepHandler(process.claim_stop, process.stop, doing="Stopping", told=process.told_stop),
        "kill": StepHandler(common.claim, process.kill, doing="Killing"),
        "resume": StepHandler(common.claim, process.resume),
        "remove": StepHandler(common.claim, making.remove, did="Removed"),
        "update": StepHandler(upkeep.claim_update, upkeep.update, did="Updated"),
        "repair": StepHandler(common.claim, upkeep.repair, did="Repaired"),
    },
    observe=observe.observe,
    watch=watch.watch,
    remains=remains.remains,
)
