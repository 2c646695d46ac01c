"""What names an object and is attached to it; and the one field of an image."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from reconciler.testing import images, wait
from reconciler.testing.daemon import Pydockd, condition, container, path
from reconciler.testing.effects import effect_of

LATER = "2031-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def one(host: Pydockd, image: str) -> dict[str, Any]:
    host.apply(container("one", image))
    host.wait_ready_container("one")
    return container("one", image)


def generation_of(host: Pydockd, name: str) -> int:
    found = host.get("Container", name)
    assert found is not None
    return int(found["metadata"]["generation"])


@effect_of("Metadata", "name", "namespace")
def test_name_and_namespace(host: Pydockd, image: str, one: dict[str, Any]) -> None:
    elsewhere = container("one", image) | {"metadata": {"name": "one", "namespace": "elsewhere"}}
    host.apply(elsewhere)

    def ready() -> dict[str, Any] | None:
        found = host.get("Container", "one", "elsewhere")
        return found if found and condition(found["status"], "Ready") == "True" else None

    found = wait.until(ready, 10.0, "elsewhere/one")
    assert found is not None
    assert found["metadata"]["namespace"] == "elsewhere"
    assert found["status"]["pid"] != host.status("one")["pid"]
    listed = host.api("GET", "/apis/pydock.dev/v1/namespaces/elsewhere/containers")["items"]
    assert [item["metadata"]["name"] for item in listed] == ["one"]
    host.delete("Container", "one", "elsewhere")
    wait.until(lambda: host.get("Container", "one", "elsewhere") is None, 10.0, "elsewhere/one to go")
    assert host.status("one")["phase"] == "Running"


@effect_of("Metadata", "labels")
def test_labels_select_and_restart_nothing(host: Pydockd, one: dict[str, Any]) -> None:
    pid = host.status("one")["pid"]
    for value in ("a", "b"):
        host.apply(one | {"metadata": {"name": "one", "labels": {"tier": value}}})
        listed = host.api("GET", f"/apis/pydock.dev/v1/containers?labelSelector=tier%3D{value}")["items"]
        assert [item["metadata"]["name"] for item in listed] == ["one"]
    assert not host.api("GET", "/apis/pydock.dev/v1/containers?labelSelector=tier%3Da")["items"]
    wait.until(lambda: condition(host.status("one"), "Ready") == "True", 5.0, "one to be ready")
    assert (host.status("one")["pid"], generation_of(host, "one")) == (pid, 1)


@effect_of("Metadata", "annotations")
def test_annotations_are_kept_and_change_nothing(host: Pydockd, one: dict[str, Any]) -> None:
    pid, noted = host.status("one")["pid"], {"example.org/note": "ä, {}"}
    answer = host.apply(one | {"metadata": {"name": "one", "annotations": noted}})
    assert answer["metadata"]["annotations"] == noted
    assert (host.get("Container", "one") or {})["metadata"]["annotations"] == noted
    assert (host.status("one")["pid"], generation_of(host, "one")) == (pid, 1)


@effect_of("Metadata", "uid", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
@effect_of("Metadata", "selfLink", "finalizers", "ownerReferences", "managedFields")
@effect_of("Container", "status")
def test_what_the_server_sets_cannot_be_written(host: Pydockd, one: dict[str, Any]) -> None:
    before = host.get("Container", "one")
    assert before is not None
    assert {"uid", "generation", "creationTimestamp", "resourceVersion"} <= before["metadata"].keys()
    written = copy.deepcopy(one)
    written["metadata"] |= {
        "uid": "mine", "generation": 77, "creationTimestamp": LATER, "deletionTimestamp": LATER,
        "deletionGracePeriodSeconds": 1, "selfLink": "/x", "finalizers": ["x"], "ownerReferences": [{"uid": "x"}],
        "managedFields": [{"manager": "x"}],
    }  # fmt: skip
    written["status"] = {"phase": "Excellent", "pid": 1}
    answer = host.api("PUT", path("Container", "one"), written)
    for name in ("uid", "generation", "creationTimestamp"):
        assert answer["metadata"][name] == before["metadata"][name]
    assert not {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"} & answer["metadata"].keys()
    assert not answer["metadata"].get("finalizers")
    assert "x" not in str([answer["metadata"].get("ownerReferences"), answer["metadata"].get("managedFields")])
    assert host.status("one")["phase"] == "Running"
    assert host.status("one")["pid"] == before["status"]["pid"]


@effect_of("Image", "status")
@effect_of("Network", "status")
def test_nor_can_the_status_of_other_kinds(host: Pydockd, image: str) -> None:
    for kind, spec in (("Image", {"reference": image}), ("Network", {})):
        meta = {"name": "stated"}
        document = {"apiVersion": "pydock.dev/v1", "kind": kind, "metadata": meta, "spec": spec}
        host.apply(document | {"status": {"phase": "Excellent", "digest": "x", "subnet": "x"}})

        def ready() -> dict[str, Any] | None:
            status = (host.get(kind, "stated") or {})["status"]  # noqa: B023
            return status if condition(status, "Ready") == "True" else None

        status = wait.until(ready, 10.0, f"{kind} stated")
        assert status is not None
        assert "x" not in (status["phase"], status.get("digest"), status.get("subnet"))
        assert status["phase"] != "Excellent"


@effect_of("Metadata", "deletionTimestamp")
def test_the_deletion_timestamp_shows_what_goes(host: Pydockd, image: str) -> None:
    stubborn = container("going", image, command=["sh", "-c", "trap '' TERM; while :; do sleep 3600 & wait $!; done"])
    host.apply(stubborn)
    host.wait_ready_container("going")
    host.delete("Container", "going")
    found = host.get("Container", "going")
    assert found is not None
    assert found["metadata"]["deletionTimestamp"].startswith("20")
    assert found["status"]["phase"] in ("Running", "Terminating")
    host.wait_gone("Container", "going")


@effect_of("Metadata", "resourceVersion")
def test_a_stale_resource_version_is_refused(host: Pydockd, one: dict[str, Any]) -> None:
    present = host.get("Container", "one")
    assert present is not None
    version = present["metadata"]["resourceVersion"]
    fresh = one | {"metadata": {"name": "one", "labels": {"n": "1"}, "resourceVersion": version}}
    answer = host.api("PUT", path("Container", "one"), fresh)
    assert int(answer["metadata"]["resourceVersion"]) > int(version)
    status, problem = host.request("PUT", path("Container", "one"), fresh)
    assert (status, problem["reason"]) == (409, "Conflict")
    assert "modified" in problem["message"]


@effect_of("Container", "apiVersion", "kind")
@effect_of("Image", "apiVersion", "kind")
@effect_of("Network", "apiVersion", "kind")
@pytest.mark.parametrize("kind", ["Container", "Image", "Network"])
def test_api_version_and_kind_must_be_right(host: Pydockd, image: str, kind: str) -> None:
    spec = {"Container": {"image": image}, "Image": {"reference": image}, "Network": {}}[kind]
    good = {"apiVersion": "pydock.dev/v1", "kind": kind, "metadata": {"name": "right"}, "spec": spec}
    other = "Network" if kind != "Network" else "Container"
    for wrong in ({"apiVersion": "pydock.dev/v9"}, {"apiVersion": "v1"}, {"kind": "Pod"}, {"kind": other}):
        status, answer = host.request("PUT", path(kind, "right"), good | wrong)
        assert 400 <= status < 500, (wrong, answer)
        assert answer["message"]
        assert host.get(kind, "right") is None
    assert host.api("PUT", path(kind, "right") + "?dryRun=All", good)["kind"] == kind


@effect_of("Image", "spec.reference")
def test_reference(host: Pydockd, registry: images.Server) -> None:
    made = [images.busybox(f"page {number}\n") for number in range(2)]
    first, second = (images.push(registry.address, "kept", str(number), image) for number, image in enumerate(made))
    wanted = {"apiVersion": "pydock.dev/v1", "kind": "Image", "metadata": {"name": "kept"}}

    def present(reference: str) -> dict[str, Any] | None:
        status = (host.get("Image", "kept") or {"status": {}})["status"]
        return status if status.get("reference") == reference and condition(status, "Ready") == "True" else None

    for reference, image in ((first, made[0]), (second, made[1])):
        host.apply(wanted | {"spec": {"reference": reference}})
        status = wait.until(lambda: present(reference), 10.0, f"{reference} to be there")  # noqa: B023
        assert status is not None
        assert status["digest"] == image.digest
        assert status["imageID"] == image.image_id
        assert status["size"] > 0
    blobs = host.root / "graph"
    assert not [found for found in blobs.rglob("*") if found.name == made[0].image_id.removeprefix("sha256:")]
    assert [found for found in blobs.rglob("*") if found.name == made[1].image_id.removeprefix("sha256:")]
