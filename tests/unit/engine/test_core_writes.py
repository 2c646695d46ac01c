"""Jobs that edit desired state: nothing is lost between reading and writing, and wrong claims are told off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler import errors
from reconciler.drivers.network.base import ResolvConf
from reconciler.engine.job import Job
from reconciler.model.keys import Key
from reconciler.model.objects import BUILTIN, Owner, SourceNote
from reconciler.model.view import DEFAULT_NETWORK
from reconciler.testing.loop import Loop, container, container_key, network

WEB = container_key("web")


def patch(loop: Loop, patch: dict[str, Any]) -> Any:
    return loop.ask("patch", kind="Container", namespace="default", name="web", patch=patch, manager="test")


class Meanwhile:
    """Does something once, between the first read and the first write of whoever comes next."""

    def __init__(self, loop: Loop, deed: Any) -> None:
        transaction, done = loop.store.transaction, []

        def interrupted(durable: bool = True) -> Any:
            if not done:
                done.append(True)
                deed()
            return transaction(durable)

        loop.store.transaction = interrupted  # type: ignore[method-assign]


def test_two_patches_at_once_both_count(loop: Loop) -> None:
    loop.apply(container("web"))
    Meanwhile(loop, lambda: patch(loop, {"metadata": {"labels": {"one": "1"}}}))
    patch(loop, {"metadata": {"labels": {"two": "2"}}})
    assert loop.entry(WEB).desired.labels == {"one": "1", "two": "2"}


def test_of_two_posts_at_once_one_is_refused(loop: Loop) -> None:
    def post(hostname: str) -> Any:
        return loop.ask("post", document=container("web", hostname=hostname), manager="test")

    Meanwhile(loop, lambda: post("first"))
    with pytest.raises(errors.Conflict, match="already exists"):
        post("second")
    assert loop.entry(WEB).desired.spec["hostname"] == "first"


def test_a_deletion_counts_only_for_the_revision_it_names(loop: Loop) -> None:
    shown = loop.apply(container("web"))["object"]
    revision = loop.ask("get", kind="Container", namespace="default", name="web")["metadata"]["resourceVersion"]
    Meanwhile(loop, lambda: patch(loop, {"metadata": {"labels": {"one": "1"}}}))
    with pytest.raises(errors.Conflict, match="resourceVersion"):
        loop.ask("delete", kind="Container", namespace="default", name="web", revision=revision)
    assert loop.entry(WEB).desired.uid == shown["metadata"]["uid"]


@pytest.mark.parametrize("job", ["apply", "put"])
def test_a_stale_revision_is_refused(loop: Loop, job: str) -> None:
    old = loop.apply(container("web"))["object"]["metadata"]["resourceVersion"]
    patch(loop, {"metadata": {"labels": {"one": "1"}}})
    document = container("web", hostname="late")
    document["metadata"]["resourceVersion"] = old
    with pytest.raises(errors.Conflict, match=f"resourceVersion {old} was given"):
        loop.ask(job, document=document, manager="test")
    assert "hostname" not in loop.entry(WEB).desired.spec


def test_a_stale_patch_is_refused(loop: Loop) -> None:
    old = loop.apply(container("web"))["object"]["metadata"]["resourceVersion"]
    patch(loop, {"metadata": {"labels": {"one": "1"}}})
    with pytest.raises(errors.Conflict, match="resourceVersion"):
        patch(loop, {"metadata": {"labels": {"two": "2"}, "resourceVersion": old}})


class TestFilesOwn:
    @pytest.fixture(autouse=True)
    def owned(self, loop: Loop) -> None:
        with loop.store.transaction() as session:
            session.objects.create(WEB, {}, {}, container("web")["spec"], Owner("dir:/etc/pydock.d", "web.yaml"), 1.0)

    @pytest.mark.parametrize("dry_run", [False, True])
    @pytest.mark.parametrize("job", ["apply", "put", "post"])
    def test_writes_are_refused_naming_the_file(self, loop: Loop, job: str, dry_run: bool) -> None:
        with pytest.raises(errors.Conflict, match=r"/etc/pydock\.d/web\.yaml"):
            loop.ask(job, document=container("web", hostname="x"), manager="test", dry_run=dry_run)

    def test_deletion_is_refused_naming_the_file(self, loop: Loop) -> None:
        with pytest.raises(errors.Conflict, match=r"/etc/pydock\.d/web\.yaml"):
            loop.delete(WEB)

    def test_the_plan_is_the_one_that_the_edited_file_would_make(self, loop: Loop) -> None:
        loop.look(WEB)
        owner = str(loop.entry(WEB).desired.owner)
        shown = loop.ask("plan", documents=[container("web", hostname="x")], manager=owner)
        assert [step["action"] for step in shown["plan"]["steps"]] == ["stop", "remove", "create", "start"]
        assert loop.entry(WEB).desired.spec == container("web")["spec"]

    def test_the_plan_says_what_an_apply_would_say(self, loop: Loop) -> None:
        said = []
        for job, args in (("plan", {"documents": [container("web", hostname="x")]}),
                          ("apply", {"document": container("web", hostname="x")})):  # fmt: skip
            with pytest.raises(errors.Conflict) as caught:
                loop.ask(job, manager="test", **args)
            said.append(caught.value.message)
        assert said[0] == said[1]

    def test_stop_and_start_by_hand_leave_the_owner_alone(self, loop: Loop) -> None:
        loop.look(WEB)
        for action, running in (("stop", False), ("start", True), ("restart", True)):
            loop.ask("override", namespace="default", name="web", action=action)
            loop.settle()
            assert (loop.observed("web").process == "running") is running
        assert loop.entry(WEB).desired.owner.item == "web.yaml"

    def test_a_document_that_says_so_takes_it_over_as_it_runs(self, loop: Loop) -> None:
        loop.look(WEB)
        before = loop.entry(WEB)
        document = container("web")
        document["metadata"]["annotations"] = {"pydock.dev/take-over": "true"}
        assert loop.apply(document)["outcome"] == "configured"
        loop.settle()
        after = loop.entry(WEB)
        assert (after.desired.uid, after.desired.generation) == (before.desired.uid, before.desired.generation)
        assert after.desired.owner == Owner("api", "test")
        assert loop.observed("web").pid == getattr(before.observed, "pid", None)
        with loop.store.snapshot() as session:
            told = [each.message for each in session.events.find(str(WEB)) if each.reason == "OwnerChanged"]
        assert told == ["api manager 'test' has taken it over from dir:/etc/pydock.d/web.yaml"]

    def test_what_the_file_says_in_vain_is_forgotten_with_its_owner(self, loop: Loop) -> None:
        with loop.store.transaction() as session:
            live = session.objects.live(WEB)
            assert live is not None
            session.objects.set_note(live.uid, SourceNote("Invalid", "web.yaml:1:1: no", 2.0))
        shown = loop.ask("get", kind="Container", namespace="default", name="web")
        assert shown["status"]["conditions"][-1] == {
            "type": "Source",
            "status": "False",
            "reason": "Invalid",
            "message": "web.yaml:1:1: no",
            "lastTransitionTime": "1970-01-01T00:00:02Z",
        }
        document = container("web")
        document["metadata"]["annotations"] = {"pydock.dev/take-over": "true"}
        conditions = loop.apply(document)["object"]["status"]["conditions"]
        assert [each["type"] for each in conditions] == [
            each["type"] for each in shown["status"]["conditions"] if each["type"] != "Source"
        ]


class _Wanting:
    """A source with a file that names ``key`` too."""

    def __init__(self, key: Key) -> None:
        self._key = key

    def status(self) -> list[dict[str, Any]]:
        return []

    def ack(self, name: str, digest: str) -> list[str]:
        return []

    def wanting(self, key: Key) -> str:
        return "dir:/etc/pydock.d/web.yaml" if key == self._key else ""


@pytest.mark.parametrize("dry_run", [False, True])
def test_what_a_file_would_make_anew_is_not_deleted(loop: Loop, dry_run: bool) -> None:
    """It would live on, though another one: whoever deletes it hears of that first."""
    loop.apply(container("web"))
    loop.parts.sources.append(_Wanting(WEB))
    with pytest.raises(errors.Conflict, match=r"declared by dir:/etc/pydock\.d/web\.yaml too.*take-over"):
        loop.ask("delete", kind="Container", namespace="default", name="web", dry_run=dry_run)
    loop.parts.sources.clear()
    loop.delete(WEB)


class TestOwnNetwork:
    def test_it_can_be_patched_and_is_then_its_writers(self, loop: Loop) -> None:
        loop.apply(container("web"))
        assert loop.entry(DEFAULT_NETWORK).desired.owner.source == BUILTIN
        loop.ask(
            "patch", kind="Network", namespace="default", name="default", patch={"spec": {"mtu": 1300}}, manager="test"
        )
        loop.settle()
        assert loop.entry(DEFAULT_NETWORK).desired.owner == Owner("api", "test")
        assert loop.observed("web").starts == 1

    def test_the_one_taken_over_stays_without_containers(self, loop: Loop) -> None:
        loop.apply(network("default", mtu=1300))
        loop.apply(container("web"))
        loop.delete(WEB)
        assert loop.exists(DEFAULT_NETWORK)


def test_logs_are_those_of_the_live_object(loop: Loop, tmp_path: Path) -> None:
    loop.apply(container("web"))
    with loop.store.transaction() as session:
        session.objects.mark_deleting(loop.entry(WEB).desired.uid, 5.0)
    loop.ask("apply", document=container("web"), manager="test")
    asked: list[str] = []

    def log_lines(path: str, *rest: object) -> Iterator[Any]:
        asked.append(path)
        return iter(())

    loop.exec.log_lines = log_lines  # type: ignore[method-assign,assignment]
    with open(os.devnull, "wb") as sink:
        loop.engine.run(Job("logs", args={"namespace": "default", "name": "web"}, fds=(sink.fileno(),)))
    assert loop.entry(WEB).desired.uid in asked[0]


def test_logs_tell_where_another_incarnation_begins_if_asked(loop: Loop, tmp_path: Path) -> None:
    for words in ("first", "second"):
        loop.apply(container("web", command=["sh", "-c", f"echo {words}; exit 0"], restartPolicy="Never"))

    def read(**more: object) -> str:
        with open(tmp_path / "out", "w+b") as sink:
            args = {"namespace": "default", "name": "web", **more}
            loop.engine.run(Job("logs", args=args, fds=(sink.fileno(),)))
            sink.seek(0)
            return sink.read().decode()

    assert read() == "first\nsecond\n"
    first, mark, second = read(mark_with="TEXT").splitlines()
    assert (first, second) == ("first", "second")
    assert mark.startswith("TEXT--- made anew 20")
    assert loop.observed("web").incarnation.id in mark  # type: ignore[union-attr]
    assert read(previous=True) == "first\n"
    assert read(tail=1, mark_with="TEXT") == "second\n"
    found = {each["key"]: each["size"] for each in loop.ask("system_df")["logs"]}
    assert found["container/default/web"] > 0


def test_a_container_without_a_name_server_says_so(loop: Loop) -> None:
    loop.network.resolvers = ResolvConf("search corp.example\n", "containers have no name server: …")
    loop.apply(container("web"))
    (event,) = [event for event in loop.events(WEB) if event.reason == "NoNameServer"]
    assert (event.type, event.message) == ("Warning", "containers have no name server: …")
    config = loop.world.runs[loop.observed("web").incarnation.id].config  # type: ignore[union-attr]
    assert config.files["/etc/resolv.conf"] == "search corp.example\n"


def test_the_default_network_holds_thousands_and_others_a_few_hundred(loop: Loop) -> None:
    loop.apply(network("small"))
    loop.apply(container("web"))
    with loop.store.snapshot() as session:
        sizes = {subnet.partition("/")[2] for subnet in session.leases.subnets().values()}
    assert sizes == {"16", "24"}


def test_a_network_that_is_full_is_named_with_its_size_and_the_remedy(loop: Loop) -> None:
    loop.apply(network("tiny", subnet="10.9.0.0/30"))
    loop.apply(container("first", networks=[{"name": "tiny"}]))
    loop.apply(container("second", networks=[{"name": "tiny"}]))
    key = container_key("second")
    _, _, message = loop.ready(key)
    assert "network tiny is full" in message
    assert "the 1 address of 10.9.0.0/30" in message
    assert "spec.subnet" in message
    assert any("network tiny is full" in event.message for event in loop.events(key))
    loop.delete(container_key("first"))
    loop.pass_time(600)
    assert loop.ready(key)[0] == "True"


def test_a_successor_comes_after_the_one_that_goes(loop: Loop) -> None:
    loop.apply(container("web"))
    first = loop.entry(WEB).desired.uid
    loop.ask("delete", kind="Container", namespace="default", name="web")
    loop.ask("apply", document=container("web"), manager="test")
    loop.settle()
    assert loop.entry(WEB).desired.uid != first
    assert loop.observed("web").process == "running"
    assert len(loop.world.runs) == 1


def test_a_plan_of_an_old_revision_is_refused_as_its_apply_is(loop: Loop) -> None:
    loop.apply(container("web"))
    old = container("web", hostname="x")
    old["metadata"]["resourceVersion"] = "1"
    for job, args in (("plan", {"documents": [old]}), ("apply", {"document": old})):
        with pytest.raises(errors.Conflict, match="the object has been modified: resourceVersion 1 was given"):
            loop.ask(job, manager="test", **args)


def test_restarts_and_age_are_those_of_the_present_incarnation(loop: Loop) -> None:
    loop.apply(container("web"))
    first = loop.observed("web").incarnation
    assert first is not None
    loop.exec.finish(first.id, 1)
    loop.look(WEB, closely=True)
    before = loop.observed("web")
    assert (before.restart_count, before.incarnation is not None) == (1, True)
    loop.pass_time(1000.0)
    loop.apply(container("web", hostname="x"))
    after = loop.observed("web")
    assert before.incarnation is not None
    assert after.incarnation is not None
    assert after.restart_count == 0
    assert after.incarnation.created_at >= before.incarnation.created_at > 0
