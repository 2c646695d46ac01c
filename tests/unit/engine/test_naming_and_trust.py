"""A name that the policy does not give to every image is got by no way around the registry."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler import errors
from reconciler.engine.job import Job
from reconciler.images.trust import Trust
from reconciler.testing import images, signing
from reconciler.testing.loop import Loop, container

OPEN, OTHER = "open.example/app:1", "open.example/other:1"
SIGNED, CLOSED = "signed.example/app:1", "closed.example/app:1"
KEY = signing.make("ed25519")


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path)
    for name in (OPEN, OTHER):
        made.registry.add(name, images.build([name.encode()], {"Cmd": ["one"]}))
    made.apply(container("web", image=OPEN))
    made.ask("pull_image", reference=OTHER)
    public = signing.write_public(KEY, tmp_path / "key.pub")
    rules = [{"scope": "signed.example", "verdict": "signed", "keys": [public]},
             {"scope": "closed.example", "verdict": "reject"}]  # fmt: skip
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump({"rules": rules}))
    made.set_images(trust=Trust(str(policy)))
    try:
        yield made
    finally:
        made.close()


def names(loop: Loop) -> set[str]:
    return {each["reference"] for each in loop.ask("images")["items"]}


def sign(loop: Loop, digest: str, name: str = "signed.example/app") -> None:
    loop.registry.signed[digest] = [signing.sign(KEY, signing.payload(name, digest))]


def tag(loop: Loop, target: str) -> Any:
    return loop.ask("image_tag", source=OPEN, target=target)


def commit(loop: Loop, target: str) -> Any:
    return loop.ask("commit", namespace="default", name="web", reference=target)


def import_(loop: Loop, target: str) -> Any:
    end, other = os.pipe()
    os.close(other)
    return loop.engine.run(Job("image_import", args={"reference": target}, fds=(end,)))


def load(loop: Loop, target: str) -> Any:
    end, other = os.pipe()
    loop.engine.run(Job("image_save", args={"references": [OPEN]}, fds=(other,)))
    os.close(other)
    return loop.engine.run(Job("image_load", args={"name": target}, fds=(end,)))


@pytest.mark.parametrize("way", [tag, commit, import_, load])
@pytest.mark.parametrize("target", [SIGNED, CLOSED, "SIGNED.example/app/part:2"])
def test_no_way_gives_an_image_a_guarded_name(loop: Loop, way: Callable[[Loop, str], Any], target: str) -> None:
    with pytest.raises(
        errors.Permanent, match=r"its rule for (signed|closed)\.example (wants a signature|lets no image)"
    ):
        way(loop, target)
    assert names(loop) == {OPEN, OTHER}


def test_a_guarded_name_is_not_taken_from_the_image_that_has_it(loop: Loop) -> None:
    image = images.build([b"signed"], {"Cmd": ["signed"]})
    loop.registry.add(SIGNED, image)
    sign(loop, image.digest)
    loop.ask("pull_image", reference=SIGNED)
    with pytest.raises(errors.Permanent, match="wants a signature"):
        tag(loop, SIGNED)
    (kept,) = [each for each in loop.ask("images")["items"] if each["reference"] == SIGNED]
    assert kept["digest"] == image.digest


def test_an_image_that_is_signed_under_the_new_name_gets_it(loop: Loop) -> None:
    sign(loop, loop.registry.images[OPEN].digest)
    assert tag(loop, SIGNED)["reference"] == SIGNED
    with pytest.raises(errors.Permanent, match="what is signed is called"):
        tag(loop, "signed.example/other:1")


def test_an_image_that_moved_while_the_policy_was_asked_gets_no_name(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign(loop, loop.registry.images[OPEN].digest)
    real = loop.registry.signatures

    def signatures(*asked: Any) -> Any:
        loop.ask("image_tag", source=OTHER, target=OPEN)
        return real(*asked)

    monkeypatch.setattr(loop.registry, "signatures", signatures)
    with pytest.raises(errors.Conflict, match="means another image now"):
        tag(loop, SIGNED)
    assert SIGNED not in names(loop)


def test_a_policy_that_is_wrong_gives_no_names(loop: Loop, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("rules: 7")
    with pytest.raises(errors.Permanent, match="before that is put right"):
        tag(loop, "open.example/new:1")


def test_an_accepted_name_asks_nobody(loop: Loop) -> None:
    loop.registry.down = True
    assert tag(loop, "open.example/new:1")["reference"] == "open.example/new:1"
