"""What the registry client decides without a network: platforms, hops, challenges, delays."""

from __future__ import annotations

import json

import pytest

from reconciler import errors
from reconciler.drivers.registry import addresses, answers, auth, manifests
from reconciler.drivers.registry.manifests import Choice, Platform
from reconciler.testing import images

HOST = Platform("linux", "amd64")


def choice(platform: Platform | None, mark: str = "a", **rest: object) -> Choice:
    return Choice(manifests.OCI_MANIFEST, images.digest(mark.encode()), 1, platform, **rest)  # type: ignore[arg-type]


def test_the_platform_of_a_host() -> None:
    assert str(manifests.host_platform("x86_64")) == "linux/amd64"
    assert str(manifests.host_platform("aarch64")) == "linux/arm64/v8"
    assert str(manifests.host_platform("riscv64")) == "linux/riscv64"


@pytest.mark.parametrize(
    ("host", "there", "chosen"),
    [
        (HOST, [Platform("linux", "arm64"), Platform("linux", "amd64")], 1),
        (HOST, [Platform("linux", "amd64", "v3"), Platform("linux", "amd64", "v1")], 1),
        (HOST, [Platform("windows", "amd64"), Platform("linux", "amd64")], 1),
        (Platform("linux", "arm64", "v8"), [Platform("linux", "arm64"), Platform("linux", "arm64", "v8")], 1),
        (Platform("linux", "arm64", "v8"), [Platform("linux", "arm"), Platform("linux", "arm64")], 1),
        (Platform("linux", "arm", "v6"), [Platform("linux", "arm", "v7"), Platform("linux", "arm", "v5")], 1),
        (HOST, [None], 0),
        (HOST, [None, None], 0),
        (HOST, [None, HOST], 1),
        (HOST, [Platform("linux", "arm64"), None, None], 1),
        (HOST, [Platform("windows"), Platform(), None], 1),
        (HOST, [Platform("windows"), Platform("linux"), None], 1),
        (HOST, [Platform("linux", "arm64"), Platform("linux", "x86_64")], 1),
        (HOST, [Platform("Linux", "AMD64")], 0),
        (Platform("linux", "arm64", "v8"), [Platform("linux", "amd64"), Platform("linux", "aarch64")], 1),
        (Platform("linux", "arm64", "v8"), [Platform("linux", "arm64", "8")], 0),
    ],
)
def test_platform_choice(host: Platform, there: list[Platform | None], chosen: int) -> None:
    choices = tuple(choice(platform, str(index)) for index, platform in enumerate(there))
    assert manifests.choose(choices, host) == choices[chosen]


def test_attestations_are_no_images() -> None:
    attestation = choice(Platform("unknown", "unknown"))
    marked = choice(HOST, annotations={"vnd.docker.reference.type": "attestation-manifest"})
    right = choice(HOST, "right")
    assert manifests.choose((attestation, marked, right), HOST) == right
    with pytest.raises(errors.Permanent, match="not made for linux/amd64: there is linux/arm64, windows/amd64"):
        manifests.choose((choice(Platform("windows", "amd64")), choice(Platform("linux", "arm64")), attestation), HOST)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"{", "malformed"),
        (b"[" * 200_000, "malformed"),
        (b"{}", "malformed"),
        (b"null", "no configuration"),
        (b"[]", "malformed"),
        (b'{"schemaVersion": "2"}', "malformed"),
        (b'{"config": {"digest": 7}}', "malformed"),
        (b"[" + b"[]," * 300_000 + b"[]]", "more than the 250000 values"),
        (b'{"schemaVersion": 2, "fsLayers": []}', "schema 1"),
        (b'{"schemaVersion": 2}', "no configuration"),
        (b'{"schemaVersion": 2, "mediaType": "text/html"}', "unknown type"),
        (b'{"schemaVersion": 2, "manifests": [], "mediaType": "%s"}' % manifests.OCI_MANIFEST.encode(), "other kind"),
        (b'{"schemaVersion": 2, "config": {}, "mediaType": "%s"}' % manifests.OCI_INDEX.encode(), "other kind"),
        (b'{"manifests": [], "config": {}}', "both layers and manifests"),
        (b'{"manifests": [], "layers": []}', "both layers and manifests"),
        (b" " * (manifests.MAX_MANIFEST + 1), "larger than"),
    ],
)
def test_manifests_that_are_none(raw: bytes, words: str) -> None:
    with pytest.raises(errors.Permanent, match=words):
        manifests.parse(raw, "application/json")


def manifest(**changes: object) -> bytes:
    """That of an image of one layer, with some fields in place of its own."""
    return json.dumps(json.loads(images.build([b""]).manifest) | changes).encode()


def described(media_type: object, content: bytes = b"x") -> dict[str, object]:
    return {"mediaType": media_type, "digest": images.digest(content), "size": len(content)}


VAGUE = ["application/octet-stream", "application/json", "text/html; charset=utf-8", "", None]


@pytest.mark.parametrize(
    "media_type", [*VAGUE, "application/vnd.oci.image.serialization.config.v1+json", manifests.OCI_CONFIG.upper()]
)
def test_a_configuration_by_any_name(media_type: str | None) -> None:
    parsed = manifests.parse(manifest(config=described(media_type)), "")
    assert parsed.config is not None
    assert parsed.config.digest == images.digest(b"x")


@pytest.mark.parametrize("media_type", [*VAGUE, "application/x-gzip", "application/vnd.acme.layer.tar+gzip"])
def test_a_layer_by_any_name(media_type: str | None) -> None:
    assert len(manifests.parse(manifest(layers=[described(media_type)]), "").layers) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config": described("application/vnd.oci.empty.v1+json")}, "empty.v1"),
        ({"config": described("application/vnd.docker.plugin.v1+json")}, "docker.plugin"),
        ({"artifactType": "application/spdx+json", "config": described("application/json")}, "application/spdx"),
        ({"layers": [described("application/vnd.dev.cosign.simplesigning.v1+json")]}, "simplesigning"),
        ({"layers": [described("application/vnd.in-toto+json")]}, "in-toto"),
        ({"layers": [described("text/spdx")]}, "text/spdx"),
        ({"config": described("application/vnd.acme.thing.v1+json")}, "acme.thing"),
        ({"layers": [], "config": described("application/vnd.acme.thing.v1+json")}, "acme.thing"),
    ],
)
def test_artifacts_are_no_images(changes: dict[str, object], words: str) -> None:
    with pytest.raises(manifests.NoImage, match=words):
        manifests.parse(manifest(**changes), "")


def test_layers_that_cannot_be_unpacked() -> None:
    good = described(manifests.OCI_LAYER)
    for media_type, words in (
        ("application/vnd.in-toto+json", "unknown type"),
        (f"{manifests.OCI_LAYER}+encrypted", "encrypted"),
    ):
        with pytest.raises(errors.Permanent, match=words):
            manifests.parse(manifest(layers=[good, described(media_type)]), "")


@pytest.mark.parametrize("layers", [None, []])
def test_an_image_without_layers(layers: object) -> None:
    assert manifests.parse(manifest(layers=layers), "").layers == ()
    bare = json.loads(manifest())
    del bare["layers"]
    assert manifests.parse(json.dumps(bare).encode(), "").layers == ()


def test_null_and_absent_are_nothing_said() -> None:
    nothing = {"schemaVersion": None, "mediaType": None, "manifests": None, "annotations": None, "artifactType": None}
    assert manifests.parse(manifest(**nothing), "text/plain").media_type == manifests.OCI_MANIFEST
    entry = described(None) | {"platform": {"os": None, "architecture": None, "variant": None}, "annotations": None}
    found = manifests.parse(json.dumps({"manifests": [entry, {"annotations": {"a": None}}]}).encode(), "")
    assert (found.media_type, found.choices[0].platform) == (manifests.OCI_INDEX, Platform())
    assert manifests.choose(found.choices, HOST) == found.choices[0]
    assert manifests.parse(b'{"manifests": null}', manifests.OCI_INDEX).choices == ()


def test_keys_in_another_case() -> None:
    raw = (
        manifest()
        .replace(b'"mediaType"', b'"MediaType"')
        .replace(b'"layers"', b'"LAYERS"')
        .replace(b'"size"', b'"Size"')
    )
    assert manifests.parse(raw, "") == manifests.parse(manifest(), "")


def test_header_and_document_must_agree() -> None:
    image = images.build([b""])
    assert manifests.parse(image.manifest, manifests.OCI_MANIFEST + "; charset=utf-8").config is not None
    with pytest.raises(errors.Permanent, match="came as"):
        manifests.parse(image.manifest, manifests.DOCKER_MANIFEST)


def test_where_registries_are() -> None:
    assert addresses.endpoint("docker.io") == "https://registry-1.docker.io"
    assert addresses.endpoint("r.example:5000") == "https://r.example:5000"
    for local in ("localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000", "a.localhost"):
        assert addresses.endpoint(local) == f"http://{local}"
    for remote in ("localhost.example", "10.0.0.1", "128.0.0.1", "[fe80::1]"):
        assert addresses.endpoint(remote) == f"https://{remote}"


@pytest.mark.parametrize("target", ["https://cdn.example/x?sig=1", "/other/path", "https://10.0.0.7/x"])
def test_redirects_that_are_followed(target: str) -> None:
    found = addresses.follow("https://r.example", "https://r.example/v2/a", target)
    assert found.startswith("https://")


@pytest.mark.parametrize(
    "target",
    [
        "http://cdn.example/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[fe80::1]/x",
        "https://0.0.0.0/x",
        "file:///etc/passwd",
        "ftp://r.example/x",
        "https://user:password@r.example/x",
        "https://r.example:99999/",
        "//[",
    ],
)
def test_redirects_that_are_not(target: str) -> None:
    with pytest.raises(errors.Permanent):
        addresses.follow("https://r.example", "https://r.example/v2/a", target)


def test_a_local_registry_may_send_us_to_local_places() -> None:
    base = "http://127.0.0.1:5000"
    assert addresses.follow(base, base, "http://localhost:6000/x") == "http://localhost:6000/x"
    with pytest.raises(errors.Permanent, match="without TLS"):
        addresses.follow(base, base, "http://cdn.example/x")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "169.254.1.1",
        "fe80::1%eth0",
        "0.0.0.0",
        "::",
        "::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "2002:7f00:1::1",
    ],
)
def test_addresses_that_names_may_not_lead_to(address: str) -> None:
    assert addresses.is_special(address)
    for other in ("93.184.216.34", "64:ff9b::5db8:d822", "2002:5db8:d822::1", "2606:2800:220:1::1"):
        assert not addresses.is_special(other)


def test_challenges() -> None:
    header = 'Bearer realm="https://auth.example/token",service="r.example",scope="repository:a:pull"'
    bearer = ("bearer", "https://auth.example/token", "r.example")
    assert auth.parse_challenge(header) == bearer
    assert auth.parse_challenge(f'Basic realm="x", {header}') == auth.parse_challenge(f"{header}, Basic") == bearer
    assert auth.parse_challenge("bearer realm=https://a.example/t") == ("bearer", "https://a.example/t", "")
    assert auth.parse_challenge('basic realm="x"') == auth.parse_challenge("Basic") == ("basic", "", "")
    for wrong in ("", "Bearer", 'Bearer service="x"', "Negotiate", "Basically x=y"):
        with pytest.raises(errors.Permanent):
            auth.parse_challenge(wrong)


def test_tokens() -> None:
    assert auth.parse_token(b'{"token": "abc", "expires_in": 120}') == ("abc", 120.0)
    assert auth.parse_token(b'{"access_token": "abc"}') == ("abc", 60.0)
    assert auth.parse_token(b'{"token": "abc", "access_token": null, "expires_in": null}') == ("abc", 60.0)
    assert auth.parse_token(b'{"token": null, "Access_Token": "abc", "expires_in": 99.5}') == ("abc", 99.5)
    for wrong in (
        b"",
        b"[]",
        b"{}",
        b'{"token": "a\\r\\nX: y"}',
        b'{"token": 7}',
        b'{"token": "%s"}' % (b"x" * 40_000),
    ):
        with pytest.raises(errors.Permanent):
            auth.parse_token(wrong)


def test_what_was_accepted_is_kept_until_it_expires_or_is_refused() -> None:
    kept = auth.Answers()
    kept.put("a", "Bearer abc", 60)
    kept.put("b", "Bearer old", 1)
    kept.put("c", "Basic x", auth.FOREVER)
    assert [kept.get(scope) for scope in "abcd"] == ["Bearer abc", "", "Basic x", ""]
    kept.drop("a", "Bearer earlier")
    assert kept.get("a") == "Bearer abc"
    kept.drop("a", "Bearer abc")
    assert kept.get("a") == ""


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [("10", 10, 11), ("0", 1, 1.1), ("999999999999", 300, 300), ("soon", 5, 5.5), ("", 5, 5.5), ("-3", 5, 5.5)],
)
def test_delays_are_honoured_and_capped(header: str, low: float, high: float) -> None:
    error = answers.failure(429, header, b"")
    assert isinstance(error, errors.Temporary)
    assert low <= error.delay <= high


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, errors.NotFound),
        (401, errors.Forbidden),
        (403, errors.Forbidden),
        (500, errors.Temporary),
        (418, errors.Permanent),
    ],
)
def test_statuses(status: int, kind: type[errors.PydockError]) -> None:
    body = b'{"errors": [{"code": "CODE", "message": "words\\u001b[31m"}]}'
    error = answers.failure(status, "", body)
    assert isinstance(error, kind)
    assert "(CODE: words [31m)" in error.message
    for wrong in (b"", b"<html>", b"[]", b'{"errors": []}', b'{"errors": [7]}', b"[" * 100_000):
        assert answers.failure(status, "", wrong).message
