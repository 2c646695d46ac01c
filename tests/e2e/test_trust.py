"""A host with a policy: what it refuses says why, and what runs runs on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml

from reconciler.testing import images, signing
from reconciler.testing.daemon import Pydockd, condition, container
from reconciler.testing.wait import until


def test_a_policy_with_a_mistake_is_told_at_the_start_and_stops_nothing(
    make_host: Callable[..., Pydockd], registry: images.Server, tmp_path: Path
) -> None:
    policy, config = tmp_path / "policy.yaml", tmp_path / "pydockd.toml"
    config.write_text(f'trust_policy = "{policy}"\n')
    policy.write_text("default: accept\n")
    host = make_host().start(flags=["--config", str(config)])
    host.apply(container("web", images.push(registry.address, "trusted/kept", "1", images.busybox())))
    before = host.wait_ready_container("web")
    assert host.stop() == 0
    policy.write_text("default: signed\nkeys: [/does/not/exist.pub]\n")
    host.start(flags=["--config", str(config)])
    why = f"policy {policy}: key /does/not/exist.pub: no such file or directory: no image comes in"
    assert why in host.tail()
    after = host.wait_ready_container("web")
    assert (after["startedAt"], after["restartCount"]) == (before["startedAt"], before["restartCount"])


def test_a_host_that_takes_signed_images_only(
    make_host: Callable[..., Pydockd], registry: images.Server, tmp_path: Path
) -> None:
    policy, config, key = tmp_path / "policy.yaml", tmp_path / "pydockd.toml", signing.make()
    policy.write_text("default: accept\n")
    config.write_text(f'trust_policy = "{policy}"\n')
    host = make_host().start(flags=["--config", str(config)])
    name, made = f"{registry.address}/trusted/web", images.busybox("signed\n")
    other = images.push(registry.address, "trusted/other", "1", made)
    host.apply(container("other", other))
    before = host.wait_ready_container("other")

    rule = {"scope": name, "verdict": "signed", "keys": [signing.write_public(key, tmp_path / "team.pub")]}
    policy.write_text(yaml.safe_dump({"default": "reject", "rules": [rule]}))
    reference = images.push(registry.address, "trusted/web", "1", made)
    host.apply(container("web", reference))

    def told() -> bool:
        conditions = host.status("web").get("conditions") or []
        return any(f"its rule for {name} wants a signature" in each["message"] for each in conditions)

    until(told, 20, "the container to say what its image lacks")
    done = host.cli("pull", reference)
    assert done.returncode == 1
    assert f"image {reference}: policy {policy}: its rule for {name} wants a signature" in done.stderr
    archive = tmp_path / "web.tar"
    assert host.cli("image", "save", "-o", str(archive), other).returncode == 0
    for under in (reference, f"{registry.address}/trusted/third:1"):
        loaded = host.cli("image", "load", "-i", str(archive), "--name", under)
        assert loaded.returncode == 1
        assert f"image {under}: policy {policy}: " in loaded.stderr
    assert condition(host.status("web"), "Ready") != "True"

    signing.push(registry.address, "trusted/web", made.digest, [signing.sign(key, signing.payload(name, made.digest))])
    done = host.cli("pull", reference)
    assert done.returncode == 0, done.stderr
    host.wait_ready_container("web")
    after = host.status("other")
    assert (after["startedAt"], after["restartCount"]) == (before["startedAt"], before["restartCount"])
    checked = host.cli("system", "check")
    assert checked.returncode == 0, checked.stdout
