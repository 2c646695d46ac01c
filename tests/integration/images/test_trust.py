"""A policy decides which images may be pulled: whole pulls from a real registry, and from one whose signatures lie."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from reconciler import errors
from reconciler.drivers.registry import manifests, signatures
from reconciler.images.trust import Trust
from reconciler.model import references
from reconciler.testing import images, registry_hostile, signing
from reconciler.testing.pulling import Puller
from reconciler.testing.registry_hostile import HostileServer, Request


@pytest.fixture(scope="module")
def registry() -> Iterator[images.Server]:
    with images.registry() as found:
        yield found


@pytest.fixture
def puller(tmp_path: pathlib.Path) -> Iterator[Puller]:
    found = Puller(tmp_path)
    yield found
    found.close()


class Host:
    """One registry, one image, and a host with a policy."""

    def __init__(self, puller: Puller, work: pathlib.Path, address: str, path: str) -> None:
        self.puller, self.address, self.path, self._work = puller, address, path, work
        self.name = f"{address}/{path}"
        self.key = signing.make()
        self.public = signing.write_public(self.key, work / "team.pub")
        self.image = images.busybox(f"page of {path}\n")
        self.reference = images.push(address, path, "1", self.image)

    def policy(self, **document: Any) -> None:
        file = self._work / "policy.yaml"
        file.write_text(yaml.safe_dump(document))
        self.puller.loop.set_images(trust=Trust(str(file)))

    def demand(self, **changes: Any) -> None:
        rule = {"scope": self.name, "verdict": "signed", "keys": [self.public], **changes}
        self.policy(default="reject", rules=[rule])

    def sign(self, key: signing.Key | None = None, name: str = "", digest: str = "", **changes: Any) -> None:
        statement = signing.payload(name or self.name, digest or self.image.digest, **changes)
        signing.push(self.address, self.path, self.image.digest, [signing.sign(key or self.key, statement)])

    def refused(self, why: str) -> None:
        """And nothing of the image has come."""
        with pytest.raises(errors.Permanent, match=why) as caught:
            self.puller.pull(self.reference)
        assert caught.value.message.startswith(f"image {self.reference}: policy ")
        assert (self.puller.graph.blobs(), self.puller.graph.layers()) == ((), ())
        assert self.puller.problems() == []


@pytest.fixture
def host(puller: Puller, tmp_path: pathlib.Path, registry: images.Server, request: pytest.FixtureRequest) -> Host:
    path = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.lower()).strip("-")
    return Host(puller, tmp_path, registry.address, "t/" + "-".join(filter(None, path.split("-"))))


def test_the_longest_scope_decides(host: Host) -> None:
    host.policy(rules=[{"scope": host.address, "verdict": "reject"}])
    host.refused(f"its rule for {host.address} lets no image of it in")
    host.policy(default="reject", rules=[{"scope": f"{host.address}/tea", "verdict": "accept"}])
    host.refused("its default lets no image of it in")
    host.policy(default="reject", rules=[{"scope": host.address, "verdict": "reject"},
                                         {"scope": f"{host.address}/t", "verdict": "accept"}])  # fmt: skip
    assert host.puller.pull(host.reference) == host.image.digest


@pytest.mark.parametrize("kind", ["ecdsa", "rsa", "ed25519"])
def test_a_signature_lets_an_image_in(host: Host, kind: str) -> None:
    host.demand()
    host.refused("wants a signature by one of .*team.pub: there is none")
    host.key = signing.make(kind)
    signing.write_public(host.key, pathlib.Path(host.public))
    host.sign()
    assert host.puller.pull(host.reference) == host.image.digest
    assert host.puller.problems() == []


def test_one_of_several_keys_and_signatures_will_do(host: Host, tmp_path: pathlib.Path) -> None:
    other = signing.make()
    host.demand(keys=[signing.write_public(signing.make(), tmp_path / "other.pub"), host.public])
    statement = signing.payload(host.name, host.image.digest)
    found = [signing.sign(other, statement), signing.sign(host.key, b"[]"), signing.sign(host.key, statement)]
    signing.push(host.address, host.path, host.image.digest, found)
    assert host.puller.pull(host.reference) == host.image.digest


def test_a_signature_by_another_key(host: Host) -> None:
    host.demand()
    host.sign(signing.make())
    host.refused("it is of none of the keys")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"digest": images.digest(b"another")}, "what is signed is another image"),
        ({"name": "registry.example/other"}, "what is signed is called registry.example/other"),
        ({"identity": {"docker-reference": ""}}, "what is signed names no image"),
        ({"type": "atomic container signature"}, "a statement of another type"),
        ({"image": {}}, "no statement about an image"),
    ],
)
def test_a_true_signature_of_something_else(host: Host, changes: dict[str, Any], why: str) -> None:
    host.demand()
    host.sign(**changes)
    host.refused(why)


def test_a_changed_statement(host: Host) -> None:
    host.demand()
    signed = signing.sign(host.key, signing.payload(host.name, images.digest(b"another")))
    forged = signed._replace(payload=signing.payload(host.name, host.image.digest))
    signing.push(host.address, host.path, host.image.digest, [forged])
    host.refused("it is of none of the keys")


def test_an_image_that_is_called_otherwise_where_it_was_signed(host: Host) -> None:
    host.demand(scope=host.address, identity="upstream.example/all")
    host.sign(name=f"upstream.example/all/{host.path}")
    assert host.puller.pull(host.reference) == host.image.digest


def test_the_signature_of_an_index(host: Host) -> None:
    platform = manifests.host_platform("x86_64")
    host.reference = images.push_index(host.address, host.path, "2", [(host.image, platform)])
    index = images.digest(images.index([(host.image, platform)]))
    host.demand()
    host.refused("there is none")
    signing.push(host.address, host.path, index, [signing.sign(host.key, signing.payload(host.name, index))])
    assert host.puller.pull(host.reference) == host.image.digest


def test_what_is_here_is_asked_about_again_when_it_is_pulled(host: Host) -> None:
    assert host.puller.pull(host.reference) == host.image.digest
    host.policy(default="reject")
    with pytest.raises(errors.Permanent, match="lets no image of it in"):
        host.puller.pull(host.reference)
    with host.puller.loop.store.snapshot() as session:
        assert session.images.get(host.reference) is not None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("default: [", "line 1"),
        ("default: maybe", "maybe"),
        ("defaults: reject", "defaults"),
        ("default: signed", "the default: keys belong to the verdict signed"),
        ("rules: [{scope: r.example, verdict: accept, keys: [/k]}]", "keys belong to the verdict signed"),
        ("rules: [{scope: r.example, verdict: signed, keys: [k.pub]}]", "expected an absolute path"),
        ("rules: [{scope: alpine/x, verdict: accept}]", "names no registry"),
        ("rules: [{scope: r.example, verdict: accept}, {scope: R.example, verdict: reject}]", "more than one rule"),
        ("default: signed\nkeys: [/does/not/exist]", "key /does/not/exist: no such file"),
        ("default: signed\nkeys: [/etc/hosts]", "no public key in PEM form"),
        ("- accept", "array"),
    ],
)
def test_a_policy_that_is_wrong_lets_nothing_in(host: Host, tmp_path: pathlib.Path, text: str, why: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    host.puller.loop.set_images(trust=Trust(str(file)))
    with pytest.raises(errors.Permanent, match=why) as caught:
        host.puller.pull(host.reference)
    assert f"policy {file}: " in caught.value.message
    assert "before that is put right" in caught.value.message
    assert host.puller.graph.blobs() == ()


def test_a_policy_that_is_gone_lets_nothing_in(host: Host, tmp_path: pathlib.Path) -> None:
    host.puller.loop.set_images(trust=Trust(str(tmp_path / "gone.yaml")))
    with pytest.raises(errors.Permanent, match="no such file or directory"):
        host.puller.pull(host.reference)
    host.policy()
    assert host.puller.pull(host.reference) == host.image.digest


# registries that lie


@pytest.fixture
def liar() -> Iterator[HostileServer]:
    with registry_hostile.hostile() as found:
        yield found


def liars_host(puller: Puller, work: pathlib.Path, liar: HostileServer) -> tuple[str, signing.Key, str]:
    """Reference, key and the path of the signatures' manifest."""
    key = signing.make()
    image = images.busybox("hostile\n")
    reference = liar.serve_image(image)
    file = work / "policy.yaml"
    file.write_text(yaml.safe_dump({"default": "signed", "keys": [signing.write_public(key, work / "k.pub")]}))
    puller.loop.set_images(trust=Trust(str(file)))
    return reference, key, f"/v2/{references.parse(reference).path}/manifests/{signatures.tag(image.digest)}"


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"", "malformed"), (b"[" * 100_000, "malformed"), (b'{"layers": 7}', "malformed"), (b"{}", "there is none"),
     (b" " * (5 << 20), "more than the")],
)  # fmt: skip
def test_a_manifest_of_signatures_that_is_none(
    puller: Puller, tmp_path: pathlib.Path, liar: HostileServer, body: bytes, why: str
) -> None:
    reference, _, path = liars_host(puller, tmp_path, liar)
    liar.handlers[path] = lambda request: request.reply(200, body)
    with pytest.raises(errors.Permanent, match=why):
        puller.pull(reference)
    assert (puller.graph.blobs(), puller.problems()) == ((), [])


def test_signatures_without_number_and_measure(puller: Puller, tmp_path: pathlib.Path, liar: HostileServer) -> None:
    reference, key, path = liars_host(puller, tmp_path, liar)
    many = [signing.sign(key, b"%d" % number) for number in range(200)]
    huge = b"x" * (1 << 20)
    stored = signing.image([signing.sign(key, huge), *many])
    liar.handlers[path] = lambda request: request.reply(200, stored.manifest)
    repository = path.rpartition("/manifests/")[0]
    for digest, data in stored.blobs.items():
        liar.handlers[f"{repository}/blobs/{digest}"] = lambda request, data=data: request.reply(200, data)
    with pytest.raises(errors.Permanent, match="no statement about an image"):
        puller.pull(reference)
    asked = [path for path, _ in liar.seen if "/blobs/" in path]
    assert 0 < len(asked) <= signatures.MOST
    assert not any(images.digest(huge) in path for path in asked)
    assert puller.graph.blobs() == ()


def test_a_statement_that_is_not_what_its_digest_says(
    puller: Puller, tmp_path: pathlib.Path, liar: HostileServer
) -> None:
    reference, key, path = liars_host(puller, tmp_path, liar)
    stored = signing.image([signing.sign(key, b"statement")])
    liar.handlers[path] = lambda request: request.reply(200, stored.manifest)
    repository = path.rpartition("/manifests/")[0]

    def other(request: Request) -> None:
        request.reply(200, b"STATEMENT")

    for digest in stored.blobs:
        liar.handlers[f"{repository}/blobs/{digest}"] = other
    with pytest.raises(errors.Permanent, match="is something else"):
        puller.pull(reference)
    assert puller.graph.blobs() == ()
