"""What the aspects of a container give together, and that records of the present version are read as they were."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from reconciler.drivers.exec.base import ContainerConfig, Limits
from reconciler.kinds import table as kinds_table
from reconciler.kinds.base import comparison
from reconciler.kinds.container.aspects import table
from reconciler.kinds.container.aspects.base import Aspect, Run, Running
from reconciler.kinds.container.spec import ASPECTS, ContainerSpec
from reconciler.model import fields, kinds
from reconciler.model.fields import Field, Spec
from reconciler.model.view import ImageFacts
from reconciler.testing.exec_fake import FakeExec

FACTS = ImageFacts(reference="a", digest="", image_id="", size=0, chain_id="")
#: a container's record, and what had been written, as the version before the aspects encoded it
RECORD = (
    b'{"image":"nginx","imagePullPolicy":"IfNotPresent","command":["/bin/sh"],"args":["-c","x"],'
    b'"env":[{"name":"A","value":"1"}],"workingDir":"/w/","user":"1000","hostname":"h",'
    b'"ports":[{"containerPort":80,"hostPort":8080,"protocol":"TCP","hostIP":"127.0.0.1"}],'
    b'"networks":[{"name":"front"}],"mounts":[{"mountPath":"/a/","readOnly":true,"hostPath":{"path":"/srv/"},'
    b'"tmpfs":null},{"mountPath":"/t","readOnly":false,"hostPath":null,"tmpfs":{"sizeLimit":"1Mi"}}],'
    b'"resources":{"limits":{"cpu":0.5,"memory":"64Mi","pids":null}},"restartPolicy":"Always",'
    b'"dependsOn":[{"name":"db","condition":"Started"}],"stopSignal":"SIGQUIT","terminationGracePeriodSeconds":10,'
    b'"securityContext":{"readOnlyRootFilesystem":false,"capabilities":{"add":["KILL"],"drop":["ALL"]}}}'
)
WRITTEN: dict[str, Any] = {
    "image": "nginx",
    "command": ["/bin/sh"],
    "args": ["-c", "x"],
    "env": [{"name": "A", "value": "1"}],
    "workingDir": "/w/",
    "user": "1000",
    "hostname": "h",
    "ports": [{"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1"}],
    "networks": [{"name": "front"}],
    "mounts": [
        {"mountPath": "/a/", "hostPath": {"path": "/srv/"}, "readOnly": True},
        {"mountPath": "/t", "tmpfs": {"sizeLimit": "1Mi"}},
    ],
    "resources": {"limits": {"cpu": 0.5, "memory": "64Mi"}},
    "dependsOn": [{"name": "db"}],
    "stopSignal": "SIGQUIT",
    "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["KILL"]}},
}


def spec(**written: Any) -> ContainerSpec:
    return msgspec.convert({"image": "a", **written}, ContainerSpec)


def test_a_record_of_the_version_before_is_read_and_nothing_has_changed() -> None:
    record = msgspec.json.decode(RECORD, type=ContainerSpec)
    assert msgspec.json.encode(record) == RECORD
    assert comparison.spec_changes(WRITTEN, record, WRITTEN, msgspec.convert(WRITTEN, ContainerSpec)) == []


def test_their_arguments_are_the_driver_s() -> None:
    made = table.configure(ASPECTS, Run(msgspec.convert(WRITTEN, ContainerSpec), FACTS, "h"))
    given = {"id", "rootfs", "netns", "log_path", "files", "directories", "labels"}
    assert made.keys() == {field.name for field in msgspec.structs.fields(ContainerConfig)} - given
    assert made["limits"] == Limits(cpu_millis=500, memory=64 * 1024**2, pids=4096)
    assert made["cwd"] == "/w"
    assert [mount.target for mount in made["mounts"]] == ["/a", "/t"]


def test_two_aspects_share_tuples_alone() -> None:
    run = Run(spec(), FACTS, "h")
    one, other = Aspect("one", lambda _: {"cap_add": ("A",)}), Aspect("other", lambda _: {"cap_add": ("B",)})
    assert table.configure((one, other), run) == {"cap_add": ("A", "B")}
    with pytest.raises(TypeError, match="'cwd'"):
        table.configure([Aspect(name, lambda _: {"cwd": "/"}) for name in "ab"], run)


def test_only_what_the_kernel_has_is_told_of_an_edit() -> None:
    before = spec(resources={"limits": {"memory": "64Mi"}}, restartPolicy="Never", env=[{"name": "A"}])

    def told(**written: Any) -> list[str]:
        return [aspect.name for aspect in table.changed(ASPECTS, before, spec(**written))]

    assert told(resources={"limits": {"memory": "65536Ki"}}, restartPolicy="Always") == []
    assert told(resources={"limits": {"memory": "65Mi"}}) == ["limits"]
    assert told(ports=[{"containerPort": 1, "hostPort": 2}]) == ["ports", "limits"]


def test_limits_are_applied_and_their_drift_is_seen() -> None:
    driver = FakeExec()
    wanted = spec(resources={"limits": {"memory": "64Mi"}})
    config = ContainerConfig(
        id="one", rootfs="/", netns="", log_path="", **table.configure(ASPECTS, Run(wanted, FACTS, "h"))
    )
    driver.create(msgspec.structs.replace(config, argv=("a",)))
    running = Running("one", wanted, driver)
    assert table.drifted(ASPECTS, running) == ()
    driver.set_limits("one", Limits(memory=1))
    (aspect,) = table.drifted(ASPECTS, running)
    assert aspect.apply is not None
    aspect.apply(running)
    assert table.drifted(ASPECTS, running) == ()


@pytest.mark.parametrize("kind", [kind.name for kind in kinds.KINDS])
def test_each_kind_is_described(kind: str) -> None:
    assert kinds_table.document(kind).doc.endswith(".")
    assert kinds_table.spec_fields(kind).fields


def test_a_field_without_words_is_a_mistake() -> None:
    class Silent(Spec, frozen=True):
        loud: Annotated[str, Field("Loud.")] = ""
        silent: str = ""

    with pytest.raises(TypeError, match="each field of a spec is described"):
        fields.of(Silent)
