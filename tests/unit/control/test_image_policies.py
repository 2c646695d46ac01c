"""When a registry is asked, and what follows from its answer: all of it planned, each step with its cause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from reconciler.kinds.image.observed import ImageObserved
from reconciler.model.keys import Key
from reconciler.testing import images
from reconciler.testing.effects import effect_of
from reconciler.testing.loop import IMAGE, Loop, container, container_key

KEPT, WEB = Key("Image", "", "kept"), container_key("web")
HOUR = 3600.0


def image(name: str = "kept", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "pydock.dev/v1", "kind": "Image", "metadata": {"name": name}, "spec": {"reference": IMAGE, **spec}
    }  # fmt: skip


def move(loop: Loop, content: bytes = b"another layer") -> str:
    """The tag means another image from now on; its digest."""
    made = images.build([content], {"Cmd": ["serve"]})
    loop.registry.add(IMAGE, made)
    return made.digest


def version(tag: str) -> str:
    return f"{IMAGE.rpartition(':')[0]}:{tag}"


def publish(loop: Loop, tag: str) -> str:
    """A version in the repository of the image; its digest."""
    made = images.build([tag.encode()], {"Cmd": ["serve"]})
    loop.registry.add(version(tag), made)
    return made.digest


def ranged(wanted: str) -> dict[str, Any]:
    return image(updatePolicy={"type": "SemVer", "range": wanted, "interval": "1h"})


def kept(loop: Loop) -> ImageObserved:
    observed = loop.entry(KEPT).observed
    assert isinstance(observed, ImageObserved)
    return observed


def steps(loop: Loop, key: Key) -> list[str]:
    return [job.name for job in loop.jobs(key)]


def edit(loop: Loop, **spec: Any) -> None:
    """An edit that makes a new incarnation."""
    loop.apply(container("web", args=[str(len(loop.jobs(WEB)))], **spec))


class TestImages:
    def test_the_answer_is_pinned_in_the_status(self, loop: Loop) -> None:
        loop.apply(image())
        status = loop.ask("get", kind="Image", name="kept", namespace="")["status"]
        served = loop.registry.images[IMAGE]
        assert (status["digest"], status["indexDigest"], status["imageID"]) == (
            served.digest, served.digest, served.image_id
        )  # fmt: skip
        assert status["platform"].startswith("linux/")
        assert status["resolvedAt"].endswith("Z")

    def test_what_is_here_is_not_asked_for(self, loop: Loop) -> None:
        loop.ask("pull_image", reference=IMAGE)
        loop.apply(image())
        assert (loop.registry.asked, len(loop.registry.resolved), steps(loop, KEPT)) == ([], 1, [])

    @effect_of("Image", "spec.pullPolicy")
    def test_always_asks_once_for_each_version_and_is_not_ready_without_an_answer(self, loop: Loop) -> None:
        loop.ask("pull_image", reference=IMAGE)
        loop.registry.down = True
        loop.apply(image(pullPolicy="Always"))
        assert loop.ready(KEPT)[:2] == ("False", "Error")
        assert "is down" in loop.ready(KEPT)[2]
        loop.registry.down, moved = False, move(loop)
        loop.pass_time(2)
        assert (loop.ready(KEPT)[0], kept(loop).digest) == ("True", moved)
        assert loop.jobs(KEPT)[0].cause == "its pullPolicy is Always, and it is new or has changed"
        assert "its tag has moved from sha256:" in loop.jobs(KEPT)[-1].cause
        count = len(loop.registry.asked)
        loop.look(KEPT)
        loop.pass_time(10 * HOUR)
        assert len(loop.registry.asked) == count

    def test_newer_takes_what_is_here_while_the_registry_is_down(self, loop: Loop) -> None:
        loop.ask("pull_image", reference=IMAGE)
        loop.registry.down = True
        loop.apply(image(pullPolicy="Newer"))
        assert loop.ready(KEPT)[:2] == ("True", "Present")
        loop.registry.down, moved = False, move(loop)
        loop.pass_time(2)
        assert kept(loop).digest == moved

    def test_never_pulls_nothing_and_takes_what_comes(self, loop: Loop) -> None:
        loop.apply(image(pullPolicy="Never"))
        assert loop.ready(KEPT)[:2] == ("False", "ErrImageNeverPull")
        assert (loop.registry.asked, loop.registry.resolved) == ([], [])
        loop.ask("pull_image", reference=IMAGE)
        loop.settle()
        assert loop.ready(KEPT)[0] == "True"

    @effect_of("Image", "spec.platform")
    def test_the_platform_goes_to_the_registry_and_a_foreign_image_is_not_run(self, loop: Loop) -> None:
        foreign = images.build([b"arm"], platform=images.manifests.Platform("linux", "s390x"))
        asked, resolve = list[str](), loop.registry.resolve

        def resolving(reference: Any, platform: str) -> Any:
            asked.append(platform)
            if platform == "linux/s390x":
                loop.registry.add(IMAGE, foreign)
            return resolve(reference, platform)

        loop.registry.resolve = resolving  # type: ignore[method-assign]
        loop.apply(image(platform="linux/s390x"))
        assert (asked, kept(loop).platform, loop.ready(KEPT)[0]) == (["linux/s390x"], "linux/s390x", "True")
        assert loop.ask("image_inspect", reference=IMAGE)["architecture"] == "s390x"
        loop.apply(container("web"))
        assert loop.ready(WEB)[:2] == ("False", "ForeignPlatform")
        assert "linux/s390x, and this host runs linux/" in loop.ready(WEB)[2]

    def test_two_platforms_of_one_reference(self, loop: Loop) -> None:
        loop.apply(image())
        loop.apply(image("other", platform="linux/s390x"))
        other = Key("Image", "", "other")
        assert loop.ready(other)[:2] == ("False", "PlatformConflict")
        assert f"image/kept keeps {IMAGE} for linux/" in loop.ready(other)[2]
        assert loop.ready(KEPT)[0] == "True"
        loop.delete(KEPT)
        assert loop.ready(other)[1] != "PlatformConflict"

    def test_a_registry_in_capital_letters_is_the_same(self, loop: Loop) -> None:
        """Who keeps the image, and who is made from it, is found whatever letters each has written."""
        capitals = IMAGE.replace("registry.example", "REGISTRY.Example")
        loop.apply(image(reference=capitals, updatePolicy={"type": "Digest", "interval": "1h"}))
        loop.apply(image("other", platform="linux/s390x"))
        assert loop.ready(Key("Image", "", "other"))[:2] == ("False", "PlatformConflict")
        loop.apply(container("web", image=capitals))
        first = loop.observed("web").incarnation
        loop.apply(container("web"))
        assert loop.observed("web").incarnation == first, "nothing else is asked for"
        moved = move(loop)
        loop.pass_time(1.2 * HOUR)
        made = loop.observed("web").incarnation
        assert made is not None
        assert made.image_digest == moved


class TestFollowing:
    @effect_of("Image", "spec.updatePolicy.type")
    def test_a_moved_tag_is_pulled_and_its_containers_are_made_anew(self, loop: Loop) -> None:
        loop.apply(image(updatePolicy={"type": "Digest", "interval": "1h"}))
        loop.apply(container("web"))
        loop.apply(container("elsewhere", image="registry.example/other:1"))
        first = loop.observed("web").incarnation
        moved = move(loop)
        loop.pass_time(1.2 * HOUR)
        made = loop.observed("web").incarnation
        assert made is not None
        assert first is not None
        assert (made.image_digest, made.id == first.id) == (moved, False)
        assert loop.observed("web").process == "running"
        assert [job.name for job in loop.jobs(KEPT)][-2:] == ["check", "pull"]
        assert loop.jobs(WEB)[-1].cause == "image/kept follows its tag, which has moved"

    @effect_of("Image", "spec.updatePolicy.range")
    def test_the_highest_version_of_a_range_is_what_the_reference_stands_for(self, loop: Loop) -> None:
        published = {tag: publish(loop, tag) for tag in ("1.2.0", "1.9.1", "1.10.0-rc1", "2.0.0", "1.9", "latest")}
        loop.apply(ranged("1.x"))
        loop.apply(container("web"))
        assert (kept(loop).digest, kept(loop).latest_tag) == (published["1.9.1"], "1.9.1")
        assert loop.observed("web").process == "running"
        assert loop.registry.asked == []
        assert loop.jobs(KEPT)[-1].cause == f"the image {IMAGE} (the highest version in 1.x) is not here"
        newer = publish(loop, "v1.10.0")
        loop.pass_time(1.2 * HOUR)
        made = loop.observed("web").incarnation
        assert made is not None
        assert (made.image_digest, kept(loop).latest_tag) == (newer, "v1.10.0")
        assert loop.jobs(KEPT)[-1].cause.startswith(f"v1.10.0 ({newer}) is the highest version in 1.x, not sha256:")
        assert loop.jobs(WEB)[-1].cause == "image/kept follows the versions 1.x, and has another one"
        count = len(loop.jobs(KEPT))
        loop.pass_time(0.5 * HOUR)
        assert len(loop.jobs(KEPT)) == count

    def test_nothing_goes_back_because_a_tag_was_removed(self, loop: Loop) -> None:
        publish(loop, "1.2.0")
        newer = publish(loop, "1.2.1")
        loop.apply(ranged("1.x"))
        loop.apply(container("web"))
        del loop.registry.images[version("1.2.1")]
        loop.pass_time(1.2 * HOUR)
        assert (kept(loop).digest, kept(loop).latest_tag) == (newer, "1.2.1")
        assert steps(loop, WEB) == ["create", "start"]
        # another range may well mean an older one
        loop.apply(ranged("1.2.0"))
        assert kept(loop).latest_tag == "1.2.0"
        assert steps(loop, WEB)[-3:] == ["remove", "create", "start"]

    def test_a_range_without_a_version_is_told_and_changes_nothing(self, loop: Loop) -> None:
        publish(loop, "1.2.0")
        loop.apply(ranged("1.x"))
        loop.apply(container("web"))
        loop.apply(ranged("3.x"))
        status, _, told = loop.ready(KEPT)
        assert status == "False"
        assert "none of the 2 tags of registry.example/web is a version in the range 3.x" in told
        assert steps(loop, WEB) == ["create", "start"]
        publish(loop, "3.0.0")
        loop.pass_time(60)
        assert (loop.ready(KEPT)[0], kept(loop).latest_tag) == ("True", "3.0.0")

    def test_an_image_of_that_name_from_elsewhere_is_asked_about_at_once(self, loop: Loop) -> None:
        newest = publish(loop, "1.2.0")
        loop.ask("pull_image", reference=IMAGE)
        loop.apply(ranged("1.x"))
        assert (kept(loop).digest, steps(loop, KEPT)) == (newest, ["check", "pull"])

    def test_two_ranges_of_one_reference(self, loop: Loop) -> None:
        publish(loop, "1.2.0")
        publish(loop, "2.0.0")
        loop.apply(ranged("1.x"))
        second = ranged("2.x")
        second["metadata"]["name"] = "second"
        loop.apply(second)
        assert loop.ready(Key("Image", "", "second"))[1] == "RangeConflict"
        loop.pass_time(5 * HOUR)
        assert kept(loop).latest_tag == "1.2.0"
        assert steps(loop, KEPT).count("pull") == 1

    def test_a_container_that_asks_for_itself_gets_the_same_version(self, loop: Loop) -> None:
        publish(loop, "1.2.0")
        loop.apply(ranged("1.x"))
        loop.apply(container("web", imagePullPolicy="Always"))
        newest = publish(loop, "1.3.0")
        edit(loop, imagePullPolicy="Always")
        made = loop.observed("web").incarnation
        assert made is not None
        assert made.image_digest == newest

    def test_without_it_a_newer_image_restarts_nothing(self, loop: Loop) -> None:
        loop.apply(image(updatePolicy={"type": "None"}))
        loop.apply(container("web"))
        move(loop)
        loop.ask("pull_image", reference=IMAGE)
        loop.settle()
        loop.pass_time(10 * HOUR)
        assert steps(loop, WEB) == ["create", "start"]
        assert loop.ready(WEB)[0] == "True"

    @effect_of("Image", "spec.updatePolicy.interval")
    def test_one_request_an_interval(self, loop: Loop) -> None:
        loop.apply(image(updatePolicy={"type": "Digest", "interval": "10m"}))
        for count in range(1, 4):
            loop.pass_time(600 * 0.89)
            loop.look(KEPT)
            assert len(loop.registry.asked) == count - 1
            loop.pass_time(600 * 0.22)
            assert len(loop.registry.asked) == count
        assert len(loop.registry.resolved) == 1

    def test_a_restart_asks_nothing_again_nor_does_a_moved_clock(self, loop: Loop, tmp_path: Path) -> None:
        loop.apply(image(updatePolicy={"type": "Digest", "interval": "1h"}))
        again = Loop(tmp_path / "again", loop.store)
        again.registry, again.graph = loop.registry, loop.graph
        again.look(KEPT)
        assert loop.registry.asked == []
        now = again.clock.now
        again.clock.now = lambda: msgspec.structs.replace(now(), wall=now().wall + 10 * 365 * 86400)  # type: ignore[method-assign]
        again.look(KEPT)
        assert loop.registry.asked == []

    def test_a_registry_that_is_down_changes_nothing_and_is_asked_again_later(self, loop: Loop) -> None:
        loop.apply(image(updatePolicy={"type": "Digest", "interval": "1h"}))
        loop.registry.down = True
        loop.pass_time(1.2 * HOUR)
        assert loop.ready(KEPT)[:2] == ("True", "Present")
        assert "CheckFailed" in loop.reasons(KEPT)
        count = len(loop.registry.asked)
        loop.look(KEPT)
        assert len(loop.registry.asked) == count
        loop.registry.down, moved = False, move(loop)
        loop.pass_time(2)
        assert kept(loop).digest == moved


class TestContainers:
    @effect_of("Container", "spec.imagePullPolicy")
    def test_always_asks_before_each_incarnation_and_not_before_a_restart(self, loop: Loop) -> None:
        loop.apply(container("web", imagePullPolicy="Always"))
        assert (steps(loop, WEB), loop.registry.asked) == (["pull", "create", "start"], [])
        moved = move(loop)
        loop.ask("override", namespace="default", name="web", action="restart")
        loop.settle()
        assert loop.registry.asked == []
        edit(loop, imagePullPolicy="Always")
        assert steps(loop, WEB)[-6:] == ["check", "pull", "stop", "remove", "create", "start"]
        made = loop.observed("web").incarnation
        assert made is not None
        assert made.image_digest == moved

    def test_always_waits_for_an_answer_while_the_former_runs_on(self, loop: Loop) -> None:
        loop.apply(container("web", imagePullPolicy="Always"))
        loop.registry.down = True
        edit(loop, imagePullPolicy="Always")
        assert loop.ready(WEB)[1] == "Error"
        assert loop.observed("web").process == "running"
        loop.registry.down = False
        loop.pass_time(2)
        assert steps(loop, WEB)[-4:] == ["stop", "remove", "create", "start"]

    def test_newer_goes_on_without(self, loop: Loop) -> None:
        loop.apply(container("web", imagePullPolicy="Newer"))
        loop.registry.down = True
        edit(loop, imagePullPolicy="Newer")
        assert steps(loop, WEB)[-5:] == ["check", "stop", "remove", "create", "start"]
        assert loop.ready(WEB)[0] == "True"

    def test_never_waits_until_somebody_brings_it(self, loop: Loop) -> None:
        loop.apply(container("web", imagePullPolicy="Never"))
        assert loop.ready(WEB)[:2] == ("False", "ErrImageNeverPull")
        assert loop.registry.resolved == []
        loop.ask("pull_image", reference=IMAGE)
        loop.settle()
        assert loop.observed("web").process == "running"

    def test_another_policy_alone_restarts_nothing(self, loop: Loop) -> None:
        loop.apply(container("web"))
        loop.apply(container("web", imagePullPolicy="Always"))
        assert steps(loop, WEB)[-1] == "update"
        assert loop.registry.asked == []
