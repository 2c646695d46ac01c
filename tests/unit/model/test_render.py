"""Objects as the API shows them."""

from __future__ import annotations

import msgspec

from reconciler.kinds import render
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.kinds.image.observed import ImageObserved
from reconciler.kinds.network.observed import NetworkObserved
from reconciler.model import times
from reconciler.model.keys import Key
from reconciler.model.objects import Desired, Override, Owner
from reconciler.model.observed import Condition, Observed
from reconciler.testing.store_samples import running

_OWNER = Owner("dir:/etc/pydock.d", "web.yaml")
_SPEC = {"image": "nginx", "ports": [{"containerPort": 80, "hostPort": 8080}]}


def _desired(kind: str = "container") -> Desired:
    key = Key.of(kind, "web")
    return Desired(key, "u-1", 3, 42, 1700000000.9, {"app": "web"}, {"note": "x"}, _SPEC, _OWNER)


def test_a_container_that_runs() -> None:
    shown = render.api_object(_desired(), running("u-1"))
    assert shown == {
        "apiVersion": "pydock.dev/v1",
        "kind": "Container",
        "metadata": {
            "name": "web",
            "namespace": "default",
            "uid": "u-1",
            "generation": 3,
            "resourceVersion": "42",
            "creationTimestamp": "2023-11-14T22:13:20Z",
            "labels": {"app": "web"},
            "annotations": {"note": "x"},
        },
        "spec": _SPEC,
        "status": {
            "phase": "Running",
            "pid": 4711,
            "startedAt": "2023-11-14T22:13:21Z",
            "restartCount": 0,
            "imageDigest": "sha256:" + "a" * 64,
            "addresses": [{"network": "default", "address": "10.88.0.5"}],
            "observedGeneration": 1,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "Running",
                    "message": "",
                    "lastTransitionTime": "2023-11-14T22:13:22Z",
                }
            ],
            "owner": {"source": "dir:/etc/pydock.d", "item": "web.yaml"},
        },
    }


def test_a_container_that_ended() -> None:
    ended = ContainerObserved(
        process="exited",
        finished_at=1.0,
        exit_code=0,
        exit_reason="signal",
        exit_signal=9,
        restart_count=2,
        phase="Failed",
    )
    shown = render.status(_desired(), ended)
    assert shown["exitCode"] == 0
    assert (shown["exitReason"], shown["signal"], shown["restartCount"]) == ("signal", 9, 2)
    assert shown["finishedAt"] == "1970-01-01T00:00:01Z"
    assert not {"pid", "startedAt", "imageDigest", "addresses"} & set(shown)


def test_what_nobody_has_looked_at_yet() -> None:
    for kind in ("container", "image", "network"):
        shown = render.status(_desired(kind), None)
        assert (shown["phase"], shown["conditions"], shown["observedGeneration"]) == ("Pending", [], 0)


def test_an_image_and_a_network() -> None:
    image = ImageObserved(
        reference="docker.io/library/nginx:1", digest="sha256:d", image_id="sha256:i", size=5, phase="Ready"
    )
    shown = render.api_object(_desired("image"), image)
    assert "namespace" not in shown["metadata"]
    assert {name: shown["status"][name] for name in ("phase", "reference", "digest", "imageID", "size")} == {
        "phase": "Ready",
        "reference": "docker.io/library/nginx:1",
        "digest": "sha256:d",
        "imageID": "sha256:i",
        "size": 5,
    }
    network = NetworkObserved(bridge="pdb0", subnet="10.1.0.0/24", gateway="10.1.0.1", phase="Ready")
    status = render.status(_desired("network"), network)
    assert (status["bridge"], status["subnet"], status["gateway"]) == ("pdb0", "10.1.0.0/24", "10.1.0.1")


def test_a_terminating_object_with_an_override() -> None:
    desired = msgspec.structs.replace(
        _desired(), deleting_at=1700000099.0, finalizers=("pydock.dev/x",), override=Override(stopped=True, restart=1)
    )
    shown = render.api_object(desired, None)
    assert shown["metadata"]["deletionTimestamp"] == "2023-11-14T22:14:59Z"
    assert shown["metadata"]["finalizers"] == ["pydock.dev/x"]
    assert shown["status"]["override"] == {"stopped": True, "restart": 1}


def test_bookkeeping_is_not_shown() -> None:
    quiet: list[Observed] = [
        ContainerObserved(failures=1, next_start_mono=5.0, boot_id="b", retry_mono=2.0, error_count=3, pid_start=9),
        ContainerObserved(),
    ]
    assert render.status(_desired(), quiet[0]) == render.status(_desired(), quiet[1])


def test_a_condition_without_a_time() -> None:
    shown = render.status(_desired(), ContainerObserved(conditions=(Condition("Ready", "False", "Waiting", "for db"),)))
    assert shown["conditions"] == [{"type": "Ready", "status": "False", "reason": "Waiting", "message": "for db"}]


def test_what_is_shown_may_be_changed_without_changing_what_is_desired() -> None:
    desired = _desired()
    shown = render.api_object(desired, None)
    shown["metadata"]["labels"]["app"] = "other"
    shown["spec"]["image"] = "other"
    assert desired == _desired()


def test_times_are_whole_seconds_of_utc() -> None:
    assert times.text(0.999) == "1970-01-01T00:00:00Z"
    assert times.text(1738367999.0) == "2025-01-31T23:59:59Z"
