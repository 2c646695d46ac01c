"""Settings: flags over file over defaults, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import errors, settings
from reconciler.drivers.exec.base import LogLimits
from reconciler.model import collection


def test_defaults_are_the_documented_ones() -> None:
    made = settings.make({})
    assert made.hosts == ("unix:///run/pydock/pydock.sock",)
    assert made.pidfile == "/run/pydock/pydockd.pid"
    assert (made.root, made.manifests) == ("/var/lib/pydock", "/etc/pydock.d")


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "pydockd.toml"
    file.write_text('root = "/from/file"\nmanifests = "/also/file"\n')
    made, print_only = settings.parse(["--config", str(file), "--root", "/from/flag", "--print-config"], {})
    assert print_only
    assert (made.root, made.manifests) == ("/from/flag", "/also/file")


def test_the_environment_wins_over_the_file_and_flags_over_it(tmp_path: Path) -> None:
    file = tmp_path / "pydockd.toml"
    file.write_text('storage_driver = "overlay"\nstorage_opts = ["max-layer-bytes=1Gi"]\n')
    environ = {"PYDOCK_STORAGE_DRIVER": "vfs"}
    made, _ = settings.parse(["--config", str(file)], environ)
    assert (made.storage_driver, made.storage_opts) == ("vfs", ("max-layer-bytes=1Gi",))
    words = [
        "--storage-driver",
        "overlay2",
        "--storage-opt",
        "max-layer-bytes=2Gi",
        "--storage-opt",
        "max-layer-entries=9",
    ]
    made, _ = settings.parse(["--config", str(file), *words], environ)
    assert (made.storage_driver, made.storage_opts) == ("overlay2", ("max-layer-bytes=2Gi", "max-layer-entries=9"))
    assert settings.parse(["--config", str(file)], {"PYDOCK_STORAGE_DRIVER": ""})[0].storage_driver == "overlay"


def test_what_print_config_prints_can_be_read_again(tmp_path: Path) -> None:
    made = settings.make({"hosts": ["unix:///a/b.sock", "fd://"], "group": 'we "quote"', "debug": True, "resync": 12.5})
    file = tmp_path / "again.toml"
    file.write_text(settings.to_toml(made))
    assert settings.parse(["--config", str(file)], {})[0] == made


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"hosts": ["tcp://0.0.0.0:2375"]}, "needs TLS"),
        ({"hosts": ["unix://relative"]}, "unix:///ABSOLUTE/PATH"),
        ({"instance": "Über"}, "instance name"),
        ({"instance": ""}, "instance name"),
        ({"root": "relative"}, "absolute path"),
        ({"resync": 0}, "above 0"),
        ({"debug": "yes"}, "debug"),
        ({"colour": "blue"}, "colour"),
        ({"storage_driver": "aufs"}, "storage driver 'aufs' is retired: its successor is 'overlay'"),
        ({"storage_driver": "floppy"}, "unknown storage driver 'floppy'"),
        (
            {"storage_opts": ["overlay.size=1G"]},
            "storage option 'overlay.size=1G': expected KEY=VALUE with a key out of",
        ),
        ({"certs_dir": "relative"}, "absolute path"),
        ({"registry": 7}, "registry"),
        (
            {"registry": {"r.example": {"colour": "blue"}}},
            'registry."r.example": Object contains unknown field `colour`',
        ),
        ({"registry": {"r.example": {"plain_http": "no"}}}, "`$.plain_http`"),
        ({"registry": {"r.example": {"ca": "ca.crt"}}}, 'registry."r.example".ca'),
        ({"registry_mirrors": ["mirror.example"]}, "registry_mirrors 'mirror.example': expected https://"),
    ],
)
def test_a_bad_value_is_refused_with_its_name(given: dict[str, object], words: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        settings.make(given)
    assert words in caught.value.message


def test_registries_and_their_mirrors(tmp_path: Path) -> None:
    file = tmp_path / "pydockd.toml"
    file.write_text(
        'registry_mirrors = ["https://from.file"]\n'
        '[registry."r.example:5000"]\nmirrors = ["http://m.example"]\n[registry."p.example"]\nplain_http = true\n'
    )
    made, _ = settings.parse(["--config", str(file)], {})
    assert made.registries().mirrors("docker.io") == ("from.file",)
    assert made.registries().mirrors("r.example:5000") == ("m.example",)
    assert made.registries().place("p.example").url == "http://p.example"
    flags = ["--registry-mirror", "https://a.example", "--registry-mirror", "https://b.example"]
    flagged, _ = settings.parse(["--config", str(file), *flags], {})
    assert flagged.registries().mirrors("docker.io") == ("a.example", "b.example")
    again = tmp_path / "again.toml"
    again.write_text(settings.to_toml(flagged))
    assert settings.parse(["--config", str(again)], {})[0] == flagged


def test_a_wrong_value_in_the_file_is_told_with_file_and_key(tmp_path: Path) -> None:
    file = tmp_path / "pydockd.toml"
    file.write_text('[registry."r.example"]\nca = "/nowhere/ca.crt"\n')
    with pytest.raises(errors.Invalid) as caught:
        settings.parse(["--config", str(file)], {})
    words = f'configuration {file}: registry."r.example": /nowhere/ca.crt: No such file or directory'
    assert caught.value.message == words
    assert settings.parse(["--config", str(file), "--print-config"], {})[1], (
        "the settings can be looked at all the same"
    )
    with pytest.raises(errors.Invalid, match=r"^registry_mirrors 'nothing': expected"):
        settings.parse(["--registry-mirror", "nothing"], {})


def test_surplus_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        settings.parse(["surplus"], {})
    assert caught.value.code == 2
    assert "surplus" in capsys.readouterr().err


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match=r"absent\.toml: no such file"):
        settings.parse(["--config", str(tmp_path / "absent.toml")], {})
    broken = tmp_path / "broken.toml"
    broken.write_text("root = [")
    with pytest.raises(errors.Invalid, match=r"broken\.toml"):
        settings.parse(["--config", str(broken)], {})


def test_when_images_go() -> None:
    assert settings.make({}).image_policy == collection.Policy()
    given = ["--image-gc-high", "70", "--image-gc-low", "60.5", "--image-gc-min-age", "0", "--image-gc-max-age", "30d"]
    made, _ = settings.parse(given, {})
    assert made.image_policy == collection.Policy(70, 60.5, 0, 30 * 86400)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"image_gc_high": 70}, "low mark not over the high one"),
        ({"image_gc_high": 101}, "expected per cent"),
        ({"image_gc_low": 0}, "expected per cent"),
        ({"image_gc_max_age": "30 days"}, "image_gc_max_age: '30 days' is not a duration"),
    ],
)
def test_odd_marks_are_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(errors.Invalid, match=words):
        settings.make(given)


@pytest.mark.parametrize(
    ("text", "size"), [("10m", 10 << 20), ("10mb", 10 << 20), ("512k", 512 << 10), ("1Gi", 1 << 30), ("10M", 10**7)]
)
def test_sizes_of_logs_as_docker_and_kubernetes_write_them(text: str, size: int) -> None:
    assert settings.make({"logs": {"max_size": text, "max_files": 5}}).logs.limits() == LogLimits(size, 5)


@pytest.mark.parametrize(
    ("logs", "words"),
    [
        ({"max_size": "ten"}, r"logs.max_size: 'ten' is no quantity"),
        ({"max_size": "1k"}, r"at least 16Ki"),
        ({"max_files": 0}, r"logs.max_files 0: expected a number from 1 to 1000"),
        ({"max-size": "10m"}, r"unknown field `max-size`"),
    ],
)
def test_wrong_limits_of_logs_are_named(logs: dict[str, object], words: str) -> None:
    with pytest.raises(errors.Invalid, match=words):
        settings.make({"logs": logs})


def test_limits_of_logs_by_flags_and_printed(tmp_path: Path) -> None:
    file = tmp_path / "pydockd.toml"
    file.write_text('dns = ["192.0.2.53"]\n[logs]\nmax_size = "20m"\nmax_files = 4\n')
    made, _ = settings.parse(["--config", str(file), "--log-max-files", "7"], {})
    assert (made.logs.max_size, made.logs.max_files, made.dns) == ("20m", 7, ("192.0.2.53",))
    file.write_text(settings.to_toml(made))
    assert settings.parse(["--config", str(file)], {})[0] == made
    assert settings.make({}).logs.limits() == LogLimits(10 << 20, 3)


@pytest.mark.parametrize("server", ["127.0.0.1", "::1", "0.0.0.0", "resolver.example"])
def test_a_name_server_must_be_an_address_that_containers_reach(server: str) -> None:
    with pytest.raises(errors.Invalid, match="dns"):
        settings.make({"dns": [server]})
