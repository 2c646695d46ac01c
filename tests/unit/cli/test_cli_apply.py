from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from reconciler.testing.api_server import BASE, Answer, Server, status
from reconciler.testing.cli import Run

WEB = """\
apiVersion: pydock.dev/v1
kind: Container
metadata:
  name: web
spec:
  image: nginx:1
"""
IMAGE = """\
apiVersion: pydock.dev/v1
kind: Image
metadata: {name: nginx}
spec:
  reference: nginx:1
"""
WEB_PATH = f"{BASE}/namespaces/default/containers/web"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with two manifests in ``m/``."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m/web.yaml").write_text(WEB)
    (tmp_path / "m/image.yaml").write_text(IMAGE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_created_then_unchanged_then_configured(server: Server, pydock: Run, folder: Path) -> None:
    assert pydock("apply", "-f", "m") == (0, "image/nginx created\ncontainer/web created\n", "")
    assert pydock("apply", "-f", "m") == (0, "image/nginx unchanged\ncontainer/web unchanged\n", "")
    (folder / "m/web.yaml").write_text(WEB.replace("nginx:1", "nginx:2"))
    assert (
        pydock("apply", "-f", "m/web.yaml", "-f", "m/image.yaml").out
        == "container/web configured\nimage/nginx unchanged\n"
    )


def test_what_is_sent(server: Server, pydock: Run, folder: Path) -> None:
    pydock("apply", "-f", "m", "--force", "--dry-run", "--manager", "me")
    image, web = (request for request in server.asked if request.method == "PATCH")
    assert (web.path, web.headers["content-type"]) == (WEB_PATH, "application/apply-patch+yaml")
    assert web.query == {"fieldManager": "me", "force": "true", "dryRun": "All"}
    assert web.body.decode() == WEB
    assert (image.path, image.headers["content-type"]) == (f"{BASE}/images/nginx", "application/apply-patch+json")
    assert image.json["spec"] == {"reference": "nginx:1"}


def test_a_dry_run_says_so(server: Server, pydock: Run, folder: Path) -> None:
    assert pydock("apply", "-f", "m/web.yaml", "--dry-run=server").out == "container/web created (dry run)\n"
    assert server.last("PATCH").query == {"fieldManager": "pydock", "dryRun": "All"}


def test_several_documents_json_and_standard_input(
    server: Server, pydock: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = f"---\n{WEB}---\n{WEB.replace('web', 'db')}".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(both)))
    assert pydock("apply", "-f", "-").out == "container/web created\ncontainer/db created\n"
    value = {"apiVersion": "pydock.dev/v1", "kind": "Network", "metadata": {"name": "back"}, "spec": {}}
    (folder / "net.json").write_text(json.dumps(value))
    assert pydock("apply", "-f", "net.json").out == "network/back created\n"
    (folder / "list.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [value]}))
    assert pydock("apply", "-f", "list.json").out == "network/back unchanged\n"


def test_the_namespace_of_the_command_line_is_for_those_that_have_none(
    server: Server, pydock: Run, folder: Path
) -> None:
    (folder / "m/web.yaml").write_text(WEB + "---\n" + WEB.replace("name: web", "namespace: own\n  name: web"))
    assert pydock("apply", "-f", "m").out == "image/nginx created\ncontainer/web created\ncontainer/own/web created\n"
    ran = pydock("apply", "-n", "prod", "-f", "m")
    assert (ran.status, ran.out) == (1, "image/nginx unchanged\ncontainer/web created\n")
    assert ran.err == (
        "pydock: m/web.yaml: container/own/web: the namespace of container/own/web is not that of -n, which is 'prod': "
        "leave -n out, or give -n own\n"
    )
    assert ("Container", "prod", "web") in server.objects


def test_one_failure_does_not_keep_the_others(server: Server, pydock: Run, folder: Path) -> None:
    (folder / "m/x.yaml").write_text(WEB.replace("web", "x"))
    server.answers[f"PATCH {WEB_PATH}"] = lambda request: status(
        409, "container/default/web is owned by dir:/etc/pydock.d/web.yaml"
    )
    assert pydock("apply", "-f", "m") == (
        1,
        "image/nginx created\ncontainer/x created\n",
        "pydock: m/web.yaml: container/web: container/default/web is owned by dir:/etc/pydock.d/web.yaml\n",
    )


def test_problems_of_a_manifest_get_their_places(server: Server, pydock: Run, folder: Path) -> None:
    (folder / "m/web.yaml").write_text(WEB.replace("  image", "  imge") + "  tty: 1\n---\n" + WEB.replace("web", "db"))
    server.answers[f"PATCH {WEB_PATH}"] = lambda request: status(422, "bad", [("spec.imge", "unknown")])
    ran = pydock("apply", "-f", "m")
    assert (ran.status, ran.out) == (1, "image/nginx created\ncontainer/db created\n")
    places = [line.split(": ")[1:3] for line in ran.err.splitlines()]
    assert ["m/web.yaml:6:3", "spec.imge"] in places
    assert ["m/web.yaml:7:3", "spec.tty"] in places
    assert all(line.startswith("pydock: m/web.yaml:") for line in ran.err.splitlines())


def test_a_problem_that_only_the_server_knows_gets_its_place(server: Server, pydock: Run, folder: Path) -> None:
    (folder / "m/web.yaml").write_text(f"---\n{WEB}  ports:\n  - containerPort: 80\n    hostPort: 8080\n")
    causes = [("spec.ports[0].hostPort", "8080 is taken by container/default/db"), ("", "and more")]
    server.answers[f"PATCH {WEB_PATH}"] = lambda request: status(422, "bad", causes)
    assert pydock("apply", "-f", "m/web.yaml") == (
        1,
        "",
        "pydock: m/web.yaml:10:15: spec.ports[0].hostPort: 8080 is taken by container/default/db\n"
        "pydock: m/web.yaml:2:1: and more\n",
    )
    server.answers[f"PATCH {WEB_PATH}"] = lambda request: status(422, "there is a cycle")
    assert pydock("apply", "-f", "m/web.yaml").err == "pydock: m/web.yaml: container/web: there is a cycle\n"


def test_what_only_a_parser_reads_is_checked_here(server: Server, pydock: Run, folder: Path) -> None:
    (folder / "m/image.yaml").write_text(IMAGE + "  surplus: 1\n")
    ran = pydock("apply", "-f", "m")
    assert (ran.status, ran.out) == (1, "container/web created\n")
    assert ran.err.startswith("pydock: m/image.yaml:6:3: spec.surplus: ")
    assert [request.path for request in server.asked] == [WEB_PATH]
    (folder / "m/image.yaml").write_text("{")
    assert pydock("apply", "-f", "m/image.yaml").err.startswith("pydock: m/image.yaml:2:1: not valid YAML")


def ready(status: str, reason: str, message: str = "") -> dict[str, object]:
    condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
    return {"phase": reason, "observedGeneration": 1, "conditions": [condition]}


def test_wait_until_ready(server: Server, pydock: Run, folder: Path) -> None:
    server.put("container", "web", spec={"image": "nginx:1"}, status=ready("True", "Running"))
    assert pydock("apply", "-f", "m/web.yaml", "--wait").out == "container/web unchanged\ncontainer/web ready\n"
    server.put("container", "web", status=ready("False", "Succeeded"))
    assert pydock("apply", "-f", "m/web.yaml", "--wait").out == "container/web unchanged\ncontainer/web ready\n"


def test_wait_tells_why_not(server: Server, pydock: Run, folder: Path) -> None:
    spec = {"image": "nginx:1"}
    server.put("container", "web", spec=spec, status=ready("False", "Pulling", "pull nginx:1"))
    ran = pydock("apply", "-f", "m/web.yaml", "--wait", "--timeout", "50ms")
    says = "pydock: container/web: timed out waiting for it to be ready: Pulling: pull nginx:1\n"
    assert ran == (1, "container/web unchanged\n", says)
    server.put("container", "web", status=ready("False", "Failed", "exited with code 3"))
    ran = pydock("apply", "-f", "m/web.yaml", "--wait")
    assert ran.err == "pydock: container/web: Failed: exited with code 3\n"
    server.put("container", "web", status=ready("False", "Stopped"))
    ran = pydock("apply", "-f", "m/web.yaml", "--wait")
    assert ran.err == "pydock: container/web: it was stopped by hand: 'pydock start web' starts it\n"


def test_an_unreachable_server_is_told_once(pydock: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYDOCK_HOST", str(folder / "none.sock"))
    ran = pydock("apply", "-f", "m")
    assert (ran.status, ran.err.count("\n"), ran.out) == (1, 1, "")
    assert "Is pydockd running?" in ran.err


def test_a_missing_file(server: Server, pydock: Run, folder: Path) -> None:
    assert pydock("apply", "-f", "none.yaml") == (1, "", "pydock: none.yaml: no such file or directory\n")


PLAN = {"steps": [{"id": "create container/default/web"}], "waits": [], "warnings": []}


def test_diff_shows_the_plan_for_all_documents(server: Server, pydock: Run, folder: Path) -> None:
    text = 'update container/default/web: labels differ\n    labels.a: none → "b"\n'
    server.answers[f"POST {BASE}/plans"] = lambda request: Answer({"plan": PLAN, "text": text})
    assert pydock("diff", "-f", "m", "-n", "prod") == (1, text, "")
    sent = server.last("POST").json
    assert (sent["manager"], sent["delete"]) == ("pydock", False)
    assert [(each["kind"], each["metadata"]) for each in sent["documents"]] == [
        ("Image", {"name": "nginx"}),
        ("Container", {"name": "web", "namespace": "prod"}),
    ]
    assert json.loads(pydock("diff", "-f", "m", "-o", "json").out) == PLAN


def test_diff_without_differences(server: Server, pydock: Run, folder: Path) -> None:
    empty = Answer({"plan": {"steps": []}, "text": "nothing to do\n"})
    server.answers[f"POST {BASE}/plans"] = lambda request: empty
    assert pydock("diff", "-f", "m") == (0, "nothing to do\n", "")


def test_a_failure_of_diff_is_no_difference(server: Server, pydock: Run, folder: Path) -> None:
    assert pydock("diff", "-f", "none").status == 2
    server.answers[f"POST {BASE}/plans"] = lambda request: status(409, "owned by somebody else")
    assert pydock("diff", "-f", "m") == (2, "", "pydock: owned by somebody else\n")
    (folder / "m/web.yaml").write_text(WEB + "  surplus: 1\n")
    ran = pydock("diff", "-f", "m")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("pydock: m/web.yaml:7:3: spec.surplus: ")


def test_validate_needs_no_server(pydock: Run, folder: Path) -> None:
    assert pydock("validate", "-f", "m") == (0, "2 objects, no problems\n", "")
    assert pydock("validate", "-f", "m/web.yaml").out == "1 object, no problems\n"
    (folder / "m/web.yaml").write_text(WEB + "  surplus: 1\n  image: again\n")
    (folder / "m/image.yaml").write_text("kind: [")
    ran = pydock("validate", "-f", "m")
    assert (ran.status, ran.err) == (1, "")
    assert any(line.startswith("m/web.yaml:8:3: ") for line in ran.out.splitlines())
    assert any(line.startswith("m/image.yaml:") for line in ran.out.splitlines())


def test_delete_of_what_manifests_hold_last_first(server: Server, pydock: Run, folder: Path) -> None:
    pydock("apply", "-f", "m")
    assert pydock("delete", "-f", "m") == (0, "container/web deleted\nimage/nginx deleted\n", "")
    assert pydock("delete", "-f", "m", "--ignore-not-found") == (0, "", "")
    (folder / "m/image.yaml").write_text(IMAGE + "  surplus: 1\n")
    pydock("apply", "-f", "m/web.yaml")
    ran = pydock("delete", "-f", "m")
    assert (ran.status, ran.out) == (1, "container/web deleted\n")
    assert ran.err.startswith("pydock: m/image.yaml:6:3: spec.surplus: ")


@pytest.mark.parametrize("reason", ["InUse", "Error", "NetworkMissing"])
def test_what_waits_is_a_difference(server: Server, pydock: Run, folder: Path, reason: str) -> None:
    text = f"wait network/default/net: {reason}: something holds it\n"
    plan = {"steps": [], "waits": [{"key": "network/default/net", "reason": reason}]}
    server.answers[f"POST {BASE}/plans"] = lambda request: Answer({"plan": plan, "text": text})
    assert pydock("diff", "-f", "m") == (1, text, "")


def test_a_diff_of_no_manifest_is_no_agreement(server: Server, pydock: Run, folder: Path) -> None:
    (folder / "empty.yaml").write_text("# nothing\n")
    assert pydock("diff", "-f", "empty.yaml") == (2, "", "pydock: empty.yaml: there is no manifest in it\n")


def test_a_plan_cannot_steer_the_terminal(server: Server, pydock: Run, folder: Path) -> None:
    text = 'update x: env differs\n    env: "\x1b[2J" → "\u202e"\n'
    server.answers[f"POST {BASE}/plans"] = lambda request: Answer({"plan": PLAN, "text": text})
    assert pydock("diff", "-f", "m").out == 'update x: env differs\n    env: "\\x1b[2J" → "\\u202e"\n'
