"""The installed command as a person runs it: exit statuses, streams, signals, start-up."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli import group
from reconciler.testing import api_server
from reconciler.testing.api_server import BASE, Answer, Server

PYDOCK = str(Path(sys.executable).with_name("pydock"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with api_server.served(tmp_path) as running:
        yield running


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYDOCK, *arguments], capture_output=True, text=True, env={**os.environ, **env}, timeout=30, check=False
    )


def test_the_exit_statuses(server: Server, tmp_path: Path) -> None:
    here = f"unix://{server.path}"
    server.put("container", "web")
    assert run("get", "containers", PYDOCK_HOST=here).returncode == 0
    assert run("-H", here, "get", "container", "ghost").returncode == 1
    assert run("get", "containers", "-H", str(tmp_path / "none.sock")).returncode == 1
    assert run("get", "containers", "--none").returncode == 2
    assert run("frobnicate").returncode == 2


def test_hosts_are_checked() -> None:
    for arguments, env, says in (
        (["-H", "tcp://127.0.0.1:1", "version"], {}, "tcp:// is not supported yet"),
        (["version", "-H", "x"], {}, "expected unix:///PATH or an absolute /PATH"),
        (["version"], {"PYDOCK_HOST": "tcp://x"}, "tcp:// is not supported yet"),
        (["-H", "/a", "version", "-H", "/b"], {}, "More than one -H was given"),
        (["-H", "/a", "-H", "/a", "version"], {}, "More than one -H was given"),
    ):
        ran = run(*arguments, **env)
        assert (ran.returncode, says in ran.stderr) == (2, True), ran
        assert all(line.startswith("pydock: ") for line in ran.stderr.splitlines())


def test_an_unknown_verb_is_a_sentence() -> None:
    ran = run("frobnicate")
    assert "pydock: No such command 'frobnicate'." in ran.stderr
    assert "pydock: see 'pydock --help'" in ran.stderr


def test_help() -> None:
    ran = run()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == run("--help").stdout == run("-h").stdout
    for name in group.VERBS:
        assert f"\n  {name} " in ran.stdout
    assert "..." not in ran.stdout.partition("Commands:")[2]
    assert "Exit status:" in ran.stdout
    assert "PYDOCK_HOST" in ran.stdout


def test_ctrl_c_makes_no_noise(server: Server) -> None:
    command = subprocess.Popen(
        [PYDOCK, "-H", server.path, "get", "containers", "-w"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    server.wait_for_watches(1)
    command.send_signal(signal.SIGINT)
    assert (*command.communicate(timeout=10), command.returncode) == (b"", b"", 130)


def test_a_reader_that_leaves_makes_no_noise(server: Server) -> None:
    many = (b"line of a log\n" * 5000 for _ in range(1000))
    server.answers[f"GET {BASE}/namespaces/default/containers/web/log"] = lambda request: Answer(many)
    command = subprocess.Popen(
        [PYDOCK, "-H", server.path, "logs", "web"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert command.stdout is not None
    assert command.stderr is not None
    assert command.stdout.readline() == b"line of a log\n"
    command.stdout.close()
    assert command.stderr.read() == b""
    assert command.wait(10) == 141
    command.stderr.close()


def test_output_that_cannot_be_written_is_a_failure(server: Server) -> None:
    server.put("container", "web")
    with open("/dev/full", "w") as full:
        for arguments in (["get", "containers"], ["version", "--client"], ["stop", "web"]):
            server.answers[f"POST {BASE}/namespaces/default/containers/web/stop"] = lambda request: Answer({})
            ran = subprocess.run(
                [PYDOCK, "-H", server.path, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
            assert (ran.returncode, ran.stderr) == (1, "pydock: cannot write the output: no space left on device\n")


def test_a_watch_shows_each_change_at_once(server: Server) -> None:
    server.put("network", "front", status={"phase": "Pending"})
    command = subprocess.Popen([PYDOCK, "-H", server.path, "get", "networks", "-w"], stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    assert command.stdout.readline().split() == ["NAME", "READY", "STATUS", "AGE", "SUBNET"]
    assert command.stdout.readline().split()[:3] == ["front", "Unknown", "Pending"]
    server.put("network", "front", status={"phase": "Active", "subnet": "10.0.0.0/24"})
    assert command.stdout.readline().split()[:3] == ["front", "Unknown", "Active"]
    server.remove("network", "front")
    assert command.stdout.readline().split()[:3] == ["front", "Unknown", "Active"]
    command.send_signal(signal.SIGINT)
    assert (command.wait(10), command.stdout.read()) == (130, "")
    command.stdout.close()


def test_a_pull_at_a_terminal_shows_bars(server: Server) -> None:
    layer = "sha256:" + "a" * 64
    items = [{"status": "downloading", "layer": layer, "current": 512, "total": 1024}, {"digest": "sha256:1"}]
    lines = [json.dumps(item).encode() + b"\n" for item in items]
    server.answers[f"POST {BASE}/pull"] = lambda request: Answer(iter(lines))
    ours, theirs = pty.openpty()
    command = subprocess.Popen([PYDOCK, "-H", server.path, "pull", "a:1"], stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal's end
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert command.wait(10) == 0
    assert b"aaaaaaaaaaaa: downloading" in shown
    assert "━".encode() in shown
    assert shown.endswith(b"a:1: sha256:1\r\n")


def test_a_defect_is_a_sentence_too(server: Server) -> None:
    server.answers[f"GET {BASE}/images"] = lambda request: Answer({"unexpected": 1})
    ran = run("-H", server.path, "get", "images")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "pydock: this is a defect of pydock: KeyError: 'items' (PYDOCK_DEBUG=1 shows where)\n"
    assert "Traceback" in run("-H", server.path, "get", "images", PYDOCK_DEBUG="1").stderr


def test_output_is_utf8_whatever_the_locale(server: Server) -> None:
    server.put("container", "web", spec={"image": "größe"})
    ran = run("-H", server.path, "get", "container/web", "-o", "jsonpath={.spec.image}", LC_ALL="C", LANG="C")
    assert (ran.returncode, ran.stdout) == (0, "größe")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    ran = run("completion", shell)
    assert (ran.returncode, "_PYDOCK_COMPLETE" in ran.stdout) == (0, True)


def complete(words: str, **env: str) -> list[str]:
    """What bash would offer for the last of ``words``."""
    count = str(len(words.split(" ")) - 1)
    ran = run(_PYDOCK_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=count, **env)
    assert ran.stderr == ""
    return [line.partition(",")[2] for line in ran.stdout.split()]


def test_completion_offers_verbs_kinds_names_and_formats(server: Server) -> None:
    server.put("container", "web")
    server.put("container", "web2")
    server.put("container", "other", namespace="prod")
    here = {"PYDOCK_HOST": server.path}
    assert complete("pydock de") == ["describe", "delete"]
    assert complete("pydock get c", **here) == ["containers"]
    assert complete("pydock get containers w", **here) == ["web", "web2"]
    assert complete("pydock get container/w", **here) == ["container/web", "container/web2"]
    assert complete("pydock get -n prod containers ", **here) == ["other"]
    assert complete("pydock logs w", **here) == ["web", "web2"]
    assert complete("pydock get containers -o j") == ["json"]
    assert complete("pydock get containers w", PYDOCK_HOST="/none.sock") == []


def test_a_verb_loads_only_what_it_needs(server: Server) -> None:
    code = (
        "import sys\n"
        "from reconciler.cli import invoking\n"
        f"status = invoking.run(['-H', {server.path!r}, 'get', 'containers'])\n"
        "heavy = {'msgspec', 'yaml', 'jsonschema', 'rich', 'http.client', 'email', 'ssl', 'asyncio',\n"
        "         'sqlalchemy', 'falcon', 'reconciler.manifest', 'reconciler.cli.verbs.apply'}\n"
        "print(sorted(heavy & set(sys.modules)), status)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert ran.stdout == "[] 0\n"


def test_apply_of_a_plain_manifest_loads_no_parser(server: Server, tmp_path: Path) -> None:
    manifest = tmp_path / "web.yaml"
    manifest.write_text("apiVersion: pydock.dev/v1\nkind: Container\nmetadata:\n  name: web\nspec:\n  image: a\n")
    code = (
        "import sys\n"
        "from reconciler.cli import invoking\n"
        f"status = invoking.run(['-H', {server.path!r}, 'apply', '-f', {str(manifest)!r}])\n"
        "print(sorted({'msgspec', 'yaml', 'reconciler.manifest', 'rich'} & set(sys.modules)), status)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert ran.stdout == "container/web created\n[] 0\n"
