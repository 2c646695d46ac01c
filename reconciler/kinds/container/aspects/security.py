"""What a container's program may do."""

from __future__ import annotations

from typing import Annotated

from reconciler.kinds.container.aspects.base import Arguments, Aspect, Run
from reconciler.model import forms
from reconciler.model.fields import Field, Spec

#: without ``CAP_``; those that the exec driver knows, and ALL
NAMES = (
    *("ALL", "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN"),
    *("DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE"),
    *("LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST"),
    *("NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT"),
    *("SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG"),
    "WAKE_ALARM",
)
_Name = Annotated[str, Field("A capability's name without CAP_, or ALL.", choices=NAMES)]
_ADD = Field("Granted beside the default set.", max_items=64, form=forms.names_or_all)
# ALL does not include the others here: beside an addition of ALL only the names count
_DROP = Field("Taken away; ALL takes the whole default set.", max_items=64, form=forms.names)


class Capabilities(Spec, frozen=True):
    add: Annotated[tuple[_Name, ...], _ADD] = ()
    drop: Annotated[tuple[_Name, ...], _DROP] = ()


class Context(Spec, frozen=True):
    read_only_root_filesystem: Annotated[bool, Field("True: only mounts can be written to.")] = False
    capabilities: Annotated[Capabilities, Field("Changes to the default set of capabilities.")] = Capabilities()


def _configure(run: Run) -> Arguments:
    wanted = run.spec.security_context
    return {
        "read_only": wanted.read_only_root_filesystem,
        "cap_add": wanted.capabilities.add,
        "cap_drop": wanted.capabilities.drop,
    }


_LATER = (
    *("privileged", "runAsUser", "runAsGroup", "runAsNonRoot", "allowPrivilegeEscalation", "seccompProfile"),
    *("appArmorProfile", "seLinuxOptions", "procMount"),
)
SecurityContext = Annotated[
    Context, Field("What the program may do.", later=_LATER), Aspect("securityContext", _configure)
]
