"""Names and namespaces on the command line: what pydock prints it reads, and no name reaches another resource."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.testing.api_server import BASE, Answer, Server
from reconciler.testing.cli import Run

MANIFEST = "apiVersion: pydock.dev/v1\nkind: Container\nmetadata: {name: web, namespace: b}\nspec: {image: nginx}\n"
#: for each verb that takes a name: what stands before and behind it
VERBS = {
    "get": ([], []), "describe": ([], []), "delete": ([], ["--no-wait"]), "wait": (["--for=condition=Ready"], []),
    "logs": ([], []), "kill": ([], []), "stop": ([], []), "start": ([], []), "restart": ([], []), "commit": ([], []),
}  # fmt: skip
HERE, THERE = f"{BASE}/namespaces/default/containers", f"{BASE}/namespaces/b/containers"


@pytest.fixture
def two(server: Server) -> Server:
    """``redis`` in two namespaces, and ``co``."""
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    for name, namespace in (("redis", "default"), ("redis", "b"), ("co", "default")):
        made = server.put("container", name, namespace=namespace, spec={"image": "a"}, status=status)
        path = f"{BASE}/namespaces/{namespace}/containers/{name}"
        for action in ("stop", "start", "restart", "kill"):
            server.answers[f"POST {path}/{action}"] = lambda request, made=made: Answer(made)  # type: ignore[misc]
        server.answers[f"GET {path}/log"] = lambda request: Answer(iter([b"said\n"]))
        server.answers[f"POST {path}/commit"] = lambda request: Answer(b'{"reference": "r", "digest": "sha256:1"}\n')
    server.answers[f"GET {BASE}/events"] = lambda request: Answer({"items": []})
    server.answers[f"GET {BASE}/jobs"] = lambda request: Answer({"items": []})
    return server


def asked(server: Server) -> set[str]:
    """The paths of single objects, and the namespaces watched, that were asked."""
    return {request.path for request in server.asked if request.path != f"{BASE}/events"}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("name", "place"), [("container/default/redis", HERE), ("co/b/redis", THERE)])
def test_every_verb_reads_what_is_printed(two: Server, pydock: Run, verb: str, name: str, place: str) -> None:
    before, behind = VERBS[verb]
    ran = pydock(verb, *before, name, *behind)
    assert (ran.status, ran.err) == (0, "")
    assert all(path.startswith(place) for path in asked(two))


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "commit"])
def test_a_kind_and_a_name_as_two_words(two: Server, pydock: Run, verb: str) -> None:
    before, behind = VERBS[verb]
    ran = pydock(verb, *before, "co", "redis", *behind)
    assert (ran.status, ran.err) == (0, "")
    assert not any("/co/" in path or path.endswith("/co") for path in asked(two))


@pytest.mark.parametrize("verb", ["events", "jobs"])
def test_records_of_a_printed_name(two: Server, pydock: Run, verb: str) -> None:
    for name, key in (("container/b/redis", "container/b/redis"), ("co/redis", "container/default/redis")):
        assert pydock(verb, "--for", name).status == 0
        assert two.last("GET").query["object"] == key


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "name", ["redis/log", "redis%2Flog", "../redis", "redis?x=y", "redis#", "Redis", ".", "..", "é"]
)
def test_what_is_no_name_asks_nobody(two: Server, pydock: Run, verb: str, name: str) -> None:
    before, behind = VERBS[verb]
    for words in ([name], ["co", name]) if verb not in ("get", "describe", "delete", "wait") else (["co", name],):
        ran = pydock(verb, *before, *words, *behind)
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.startswith("pydock: ")
        assert "defect" not in ran.err
    assert two.asked == []


@pytest.mark.parametrize("verb", VERBS)
def test_an_empty_name_is_not_all_of_them(two: Server, pydock: Run, verb: str) -> None:
    before, behind = VERBS[verb]
    words = [""] if verb == "commit" else ["co", ""]
    ran = pydock(verb, *before, *words, *behind)
    assert (ran.status, ran.out) == (2, "")
    assert "is empty" in ran.err
    assert two.asked == []


@pytest.mark.parametrize("words", [["stop", "image", "nginx"], ["restart", "net", "x"]])
def test_kinds_without_a_process_are_told(two: Server, pydock: Run, words: list[str]) -> None:
    ran = pydock(*words)
    assert ran.status == 2
    assert "is a kind, and only containers can be named here" in ran.err
    assert two.asked == []


def test_names_are_printed_with_their_namespace_where_there_are_several(two: Server, pydock: Run) -> None:
    out = pydock("get", "co", "-A", "-o", "name").out
    assert out == "container/b/redis\ncontainer/default/co\ncontainer/default/redis\n"
    assert pydock("get", *out.split(), "-o", "name").out == out
    assert pydock("get", "co", "-o", "name").out == "container/co\ncontainer/redis\n"
    assert pydock("get", "co/b/redis", "co/redis").out.splitlines()[0].split()[:2] == ["NAMESPACE", "NAME"]
    assert pydock("-n", "b", "get", "co").out.splitlines()[0].split()[0] == "NAME"


@pytest.mark.parametrize(
    "command", [["apply"], ["apply", "--dry-run"], ["apply", "--dry-run=client"], ["diff"], ["delete"]]
)
def test_another_namespace_in_the_file_than_on_the_command_line(
    server: Server, pydock: Run, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "web.yaml").write_text(MANIFEST)
    ran = pydock(*command, "-n", "a", "-f", str(tmp_path / "web.yaml"))
    assert ran.status == (2 if command == ["diff"] else 1)
    assert "the namespace of container/b/web is not that of -n, which is 'a': leave -n out, or give -n b" in ran.err
    assert server.asked == []


def test_the_same_namespace_twice_is_no_contradiction(server: Server, pydock: Run, tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(MANIFEST)
    assert pydock("apply", "-n", "b", "-f", str(file)) == (0, "container/web created\n", "")
    assert pydock("apply", "-f", str(file)) == (0, "container/b/web unchanged\n", "")
    assert pydock("delete", "-f", str(file)) == (0, "container/b/web deleted\n", "")
    assert pydock("get", "container/b/web", "-n", "a").status == 1


def test_an_answer_that_is_no_json_is_not_a_defect(server: Server, pydock: Run) -> None:
    server.answers[f"GET {HERE}/web"] = lambda request: Answer(b"2025 what it said\n")
    ran = pydock("get", "co/web")
    assert (ran.status, ran.err) == (1, f"pydock: the server's answer to GET {HERE}/web is not JSON\n")


@pytest.mark.parametrize("stage", ["", "=server", "=client", "=true"])
def test_dry_runs_as_kubectl_has_them(server: Server, pydock: Run, tmp_path: Path, stage: str) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(MANIFEST)
    assert pydock("apply", f"--dry-run{stage}", "-f", str(file)).out == "container/b/web created (dry run)\n"
    assert [request.method for request in server.asked] == ["GET" if stage == "=client" else "PATCH"]
    server.put("container", "web", namespace="b")
    assert pydock("delete", f"--dry-run{stage}", "co/b/web").out == "container/b/web deleted (dry run)\n"
    assert ("Container", "b", "web") in server.objects
    assert server.asked[-1].method == ("GET" if stage == "=client" else "DELETE")


def test_a_dry_run_at_the_client_checks_the_manifest(server: Server, pydock: Run, tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(MANIFEST.replace("image", "imgae"))
    ran = pydock("apply", "--dry-run=client", "-f", str(file))
    assert (ran.status, ran.out, server.asked) == (1, "", [])
    assert "did you mean image?" in ran.err


def test_no_dry_run_is_none(server: Server, pydock: Run, tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(MANIFEST)
    assert pydock("apply", "--dry-run=none", "-f", str(file)).out == "container/b/web created\n"
    ran = pydock("apply", "--dry-run=perhaps", "-f", str(file))
    assert (ran.status, "'perhaps' is not one of client, server, none" in ran.err) == (2, True)


@pytest.mark.parametrize("address", ["http://x/web.yaml", "https://x/web.yaml", "htp:/" + "/x", "file:///etc/x.yaml"])
@pytest.mark.parametrize("verb", ["apply", "diff", "validate", "delete"])
def test_addresses_are_not_fetched(server: Server, pydock: Run, verb: str, address: str) -> None:
    ran = pydock(verb, "-f", address)
    assert ran.status == (2 if verb == "diff" else 1)
    assert f"{address}: this is a URL, and manifests are read from files, directories and -" in ran.err


@pytest.mark.parametrize(
    ("flags", "sent"),
    [
        ([], None), (["--now"], 1), (["--force"], 0), (["--grace-period=0"], 0), (["--grace-period", "30"], 30),
        (["--force", "--grace-period=0"], 0), (["--grace-period=-1"], None),
    ],
)  # fmt: skip
def test_the_grace_of_a_deletion_is_sent(server: Server, pydock: Run, flags: list[str], sent: int | None) -> None:
    server.put("container", "web")
    assert pydock("delete", "co/web", "--no-wait", *flags).status == 0
    assert server.last("DELETE").json.get("gracePeriodSeconds") == sent


def test_a_signal_is_sent_as_it_is_named(two: Server, pydock: Run) -> None:
    assert pydock("kill", "co/b/redis") == (0, "container/b/redis killed\n", "")
    assert two.last("POST").json == {"signal": "KILL"}
    assert pydock("kill", "-s", "SIGHUP", "redis", "ghost") == (
        1, "container/redis killed\n", "pydock: container/ghost: container/default/ghost not found\n",
    )  # fmt: skip
    assert [request.json["signal"] for request in two.asked if request.method == "POST"][1:] == ["SIGHUP", "SIGHUP"]


@pytest.mark.parametrize(
    "flags", [["--now", "--force"], ["--now", "--grace-period=3"], ["--force", "--grace-period=3"]]
)
def test_graces_that_contradict_each_other(server: Server, pydock: Run, flags: list[str]) -> None:
    assert pydock("delete", "co/web", *flags).status == 2
    assert server.asked == []
