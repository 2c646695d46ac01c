"""What a Container's manifest says: a row for each field. What a field means stands in its aspect's file."""

from __future__ import annotations

from reconciler.kinds.base.document import Document
from reconciler.kinds.container.aspects import table
from reconciler.kinds.container.aspects.command import Args, Command, WorkingDir
from reconciler.kinds.container.aspects.environment import Env
from reconciler.kinds.container.aspects.identity import Hostname, User
from reconciler.kinds.container.aspects.image import Image, ImagePullPolicy
from reconciler.kinds.container.aspects.limits import Resources, ResourceSpec
from reconciler.kinds.container.aspects.mounts import Mounts
from reconciler.kinds.container.aspects.networks import Networks
from reconciler.kinds.container.aspects.ports import Ports
from reconciler.kinds.container.aspects.restarting import DependsOn, RestartPolicy
from reconciler.kinds.container.aspects.security import Context, SecurityContext
from reconciler.kinds.container.aspects.stopping import StopSignal, TerminationGracePeriodSeconds
from reconciler.model.fields import Field, Spec


class ContainerSpec(Spec, frozen=True):
    """``command`` None keeps the image's entrypoint, ``args`` None its cmd (dropped when command is set).
    ``user`` is ``name|uid[:group|gid]``; None keeps the image's. ``networks`` () means the default one."""

    image: Image
    image_pull_policy: ImagePullPolicy = "IfNotPresent"
    command: Command = None
    args: Args = None
    env: Env = ()
    working_dir: WorkingDir = None
    user: User = None
    hostname: Hostname = None
    ports: Ports = ()
    networks: Networks = ()
    mounts: Mounts = ()
    resources: Resources = ResourceSpec()
    restart_policy: RestartPolicy = "Always"
    depends_on: DependsOn = ()
    stop_signal: StopSignal = None
    termination_grace_period_seconds: TerminationGracePeriodSeconds = 10
    security_context: SecurityContext = Context()


_LATER = (
    *("probes", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "envFrom", "volumes", "volumeMounts"),
    *("tty", "stdin", "stdinOnce", "imagePullSecrets", "logging", "dns", "dnsPolicy", "dnsConfig", "hostNetwork"),
    *("hostPID", "hostIPC", "hostAliases", "containers", "initContainers", "devices", "ulimits", "sysctls", "labels"),
    *("replicas", "template", "platform", "entrypoint"),
)
SPEC = ContainerSpec
ASPECTS = table.of(ContainerSpec)
RULES = table.rules(ASPECTS)
DOCUMENT = Document("One container, kept running as its spec says.", Field("The container wanted.", later=_LATER))
