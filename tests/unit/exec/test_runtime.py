"""Choosing a runtime, what conmon is told, and which capabilities there are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.drivers.exec import capabilities, conmon, pids, rundir, runtime
from reconciler.errors import Permanent, Temporary
from reconciler.testing.wait import until


def script(directory: Path, name: str, version: str = "", code: int = 0) -> str:
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{version}'\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


def accept(tool: runtime.Runtime) -> None:
    """A trial that everything passes."""


def refuse(tool: runtime.Runtime) -> None:
    raise Permanent(f"{tool.kind} does not like this host")


def test_a_named_runtime_is_the_only_one_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = script(tmp_path, "mine", "youki version 0.3.0")
    assert runtime.choose(path, accept) == runtime.Runtime("youki", path, "0.3.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert runtime.choose("mine", accept).path == path


def test_crun_is_preferred_and_runc_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(runtime, "_SEARCH", ())
    script(tmp_path, "crun", "crun version 1.14.3")
    script(tmp_path, "runc", "runc version 1.2.8")

    def only_runc(tool: runtime.Runtime) -> None:
        if tool.kind == "crun":
            refuse(tool)

    assert runtime.choose(None, accept).kind == "crun"
    assert runtime.choose(None, only_runc).kind == "runc"


def test_the_refusal_lists_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(runtime, "_SEARCH", ())
    path = script(tmp_path, "crun", "crun version 1.14.3")
    with pytest.raises(Permanent) as caught:
        runtime.choose(None, refuse)
    assert caught.value.message == (
        f"no OCI runtime works on this host; tried crun ({path}): crun does not like this host; runc: not found"
    )
    with pytest.raises(Permanent, match="/none/such: no such executable file"):
        runtime.choose("/none/such", accept)


def test_a_runtime_that_fails_is_quoted(tmp_path: Path) -> None:
    path = script(tmp_path, "broken", 'time="x" level=error msg="no \\"way\\" out"', 1)
    with pytest.raises(Permanent, match='no "way" out'):
        runtime.identify(path)
    assert runtime.identify(script(tmp_path, "odd", "what?")) == runtime.Runtime(
        "odd", str(tmp_path / "odd"), "unknown"
    )


@pytest.mark.parametrize(
    ("kind", "version", "warned"),
    [
        ("runc", "1.1.5+ds1", True),
        ("runc", "1.2.7", True),
        ("runc", "1.2.8", False),
        ("runc", "1.3.2", True),
        ("runc", "1.3.3", False),
        ("runc", "1.4.0", False),
        ("runc", "2.0", False),
        ("runc", "unknown", False),
        ("crun", "1.8.1", False),
    ],
)
def test_old_versions_are_warned_about(kind: str, version: str, warned: bool) -> None:
    assert bool(runtime.warnings(runtime.Runtime(kind, "/x", version))) is warned


def test_which_runtimes_can_mount_recursively_read_only() -> None:
    def can(kind: str, version: str) -> bool:
        return runtime.Runtime(kind, "/x", version).mounts_recursively_read_only()

    assert can("runc", "1.1.5+ds1")
    assert can("crun", "1.8.1")
    assert not can("runc", "1.0.3")
    assert not can("youki", "9.9")


def test_a_host_without_conmon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_SEARCH", ())
    monkeypatch.setattr(runtime, "_CONMON_ELSEWHERE", ())
    monkeypatch.setenv("PATH", "/none")
    with pytest.raises(Permanent, match="conmon is not installed"):
        runtime.find_conmon()


def test_the_command_line_of_conmon() -> None:
    run = rundir.Run(Path("/run/e"), "x1")
    plain = conmon.arguments("/c", ["/r", "--root=/s"], run, conmon.Log("/log", 77), systemd=False, runtime_known=True)
    assert " ".join(plain) == (
        "/c --api-version 1 -c x1 -u x1 -n x1 -r /r -b /run/e/runs/x1 -p /run/e/runs/x1/pid "
        "-P /run/e/runs/x1/conmon.pid --exit-dir /run/e/exits --persist-dir /run/e/runs/x1 --full-attach "
        "--no-sync-log -l k8s-file:/log --log-size-max 77 "
        "--log-level warning --runtime-arg --root=/s --runtime-arg --log=/run/e/runs/x1/runtime.log "
        "--runtime-arg --log-format=json"
    )
    other = conmon.arguments("/c", ["/r"], run, conmon.Log("/log", 77), systemd=True, runtime_known=False)
    assert other[-1] == "-s"
    assert "--runtime-arg" not in other
    assert conmon.log_path([word.encode() for word in plain]) == "/log"
    assert conmon.log_path([b"sleep", b"-l", b"1"]) is None


def hanging(directory: Path) -> Path:
    """A program that never ends, and has started another one that holds its output."""
    path = directory / "hangs"
    path.write_text(f"#!/bin/sh\nsleep 1000 &\necho $! $$ >{directory}/pids\nwait\n")
    path.chmod(0o755)
    return path


def all_ended(directory: Path) -> bool:
    return all(pids.start_time(int(pid)) is None for pid in (directory / "pids").read_text().split())


def test_a_conmon_that_hangs_is_killed_and_the_create_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conmon, "FORK_TIMEOUT", 0.2)
    run = rundir.Run(tmp_path, "x1")
    run.bundle.mkdir(parents=True)
    with pytest.raises(Temporary, match=r"conmon \(process \d+\) has not gone to the background within 0.2 s"):
        conmon.launch([str(hanging(tmp_path))], run, lambda pid: None)
    until(lambda: all_ended(tmp_path), 5.0, "all of it to end")


def test_a_runtime_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_TIMEOUT", 0.2)
    with pytest.raises(Permanent, match=r"hangs has not ended within 0.2 s: it was killed"):
        runtime.call([str(hanging(tmp_path)), "state"])
    until(lambda: all_ended(tmp_path), 5.0, "all of it to end")


def test_the_runtime_s_own_words(tmp_path: Path) -> None:
    run = rundir.Run(tmp_path, "x1")
    run.bundle.mkdir(parents=True)
    assert conmon.runtime_words(run) == ""
    (run.bundle / rundir.RUNTIME_LOG).write_text(
        '{"level":"warning","msg":"hm"}\n{"level":"error","msg":"exec: \\"x\\": not found"}\nnoise\n'
    )
    assert conmon.runtime_words(run) == 'exec: "x": not found'


EVERYTHING = frozenset(capabilities.KNOWN)


@pytest.mark.parametrize(
    ("add", "drop", "found"),
    [
        ((), (), capabilities.DEFAULT),
        (("NET_ADMIN",), (), capabilities.DEFAULT | {"NET_ADMIN"}),
        ((), ("CHOWN",), capabilities.DEFAULT - {"CHOWN"}),
        ((), ("ALL",), frozenset()),
        (("CHOWN",), ("ALL",), {"CHOWN"}),
        (("CHOWN",), ("CHOWN",), capabilities.DEFAULT),
        (("ALL",), (), EVERYTHING),
        (("ALL",), ("SYS_ADMIN",), EVERYTHING - {"SYS_ADMIN"}),
    ],
)
def test_capabilities(add: tuple[str, ...], drop: tuple[str, ...], found: frozenset[str]) -> None:
    assert capabilities.resolve(add, drop, EVERYTHING) == {f"CAP_{name}" for name in found}


def test_capabilities_that_cannot_be_given() -> None:
    few = frozenset({"CHOWN", "KILL"})
    assert capabilities.resolve((), (), few) == {"CAP_CHOWN", "CAP_KILL"}
    assert capabilities.resolve(("ALL",), ("KILL",), few) == {"CAP_CHOWN"}
    with pytest.raises(Permanent, match="lacks the capability SYS_ADMIN"):
        capabilities.resolve(("SYS_ADMIN",), (), few)
    with pytest.raises(Permanent, match="no capability 'CAP_KILL'"):
        capabilities.resolve((), ("CAP_KILL",), few)


def test_there_is_one_name_for_each_bit() -> None:
    assert len(capabilities.KNOWN) == len(set(capabilities.KNOWN)) == 41
    assert capabilities.KNOWN.index("SYS_ADMIN") == 21
    assert capabilities.KNOWN.index("CHECKPOINT_RESTORE") == 40
    assert capabilities.ordered(frozenset({"CAP_KILL", "CAP_CHOWN"})) == ["CAP_CHOWN", "CAP_KILL"]


def test_a_process_is_told_from_a_later_one_with_its_pid() -> None:
    pid, start = os.getpid(), pids.start_time(os.getpid())
    assert start is not None
    assert pids.alive(pid, start)
    assert not pids.alive(pid, start + 1)
    assert pids.open_pidfd(pid, start + 1) is None
    assert pids.send(pid, start + 1, 9) is False
    assert pids.wait_end(pid, start + 1, 5.0) is True
    assert pids.wait_end(pid, start, 0.0) is False
    for wrong in (0, -1, 1 << 23):
        assert pids.start_time(wrong) is None
        assert pids.open_pidfd(wrong, 1) is None


def test_a_zombie_has_ended() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        assert pids.start_time(pid) is None
    finally:
        os.waitpid(pid, 0)
