"""Whatever is asked: no answer is a server error, every refusal is a Status, and only checked arguments reach the
engine."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from falcon import testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.api import streams
from reconciler.api.fronts import table
from reconciler.ipc import EngineClient
from reconciler.testing.engine_fake import FakeEngine

BASE = "/apis/pydock.dev/v1"
WORDS = st.sampled_from(
    [
        "apis",
        "pydock.dev",
        "v1",
        "namespaces",
        "default",
        "containers",
        "networks",
        "images",
        "web",
        "log",
        "stop",
        "events",
        "jobs",
        "sources",
        "ack",
        "plans",
        "version",
        "healthz",
        "..",
        "",
        "%2e%2e",
        "%00",
        "a%0ab",
        "ü",
        "x" * 300,
    ]
)
PATHS = st.one_of(
    st.lists(WORDS, max_size=8).map(lambda parts: "/" + "/".join(parts)),
    st.sampled_from(
        [
            f"{BASE}/namespaces/default/containers/web",
            f"{BASE}/namespaces/default/networks",
            f"{BASE}/images/x",
            f"{BASE}/plans",
            f"{BASE}/sources/ack",
            f"{BASE}/events",
        ]
    ),
)
NAMES = st.sampled_from(
    ["limit", "labelSelector", "resourceVersion", "dryRun", "fieldManager", "force", "object", "continue", "x"]
)
VALUES = st.one_of(
    st.sampled_from(["1", "-1", "true", "All", "container/default/web", "%ff", "%00", "9" * 30]), st.text(max_size=8)
)
QUERIES = st.lists(st.tuples(NAMES, VALUES), max_size=4).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).encode("utf-8", "replace").decode("latin-1")
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["metadata", "name", "kind", "spec", "documents", "digest", "dryRun", "preconditions"]),
            inner,
        )
    ),
    max_leaves=10,
)
BODIES = st.one_of(st.binary(max_size=60), JSON.map(lambda value: json.dumps(value).encode()))
TYPES = st.sampled_from(
    [
        "application/json",
        "application/merge-patch+json",
        "application/apply-patch+yaml",
        "application/apply-patch+json",
        "text/plain",
        "",
        "application/json;charset=x",
        "\xff",
    ]
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])


@pytest.fixture(scope="module")
def app() -> Iterator[testing.TestClient]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    engine = FakeEngine()
    server = engine.serve(theirs)
    engine.handlers = dict.fromkeys(
        ("post", "put", "apply", "patch", "delete", "override", "get"),
        lambda call, args: call.result({"object": {"a": 1}}),
    )
    yield testing.TestClient(table.make_app(EngineClient(ours, 10.0), streams.Streams()), headers={"Host": "localhost"})
    server.close()
    ours.close()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=METHODS, path=PATHS, query=QUERIES, media_type=TYPES, data=BODIES)
def test_no_request_is_a_server_error(
    app: testing.TestClient, method: str, path: str, query: str, media_type: str, data: bytes
) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    answer = app.simulate_request(method, path, query_string=query, body=data, headers=headers)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and method != "HEAD":
        assert answer.json["kind"] == "Status"
        assert answer.json["code"] == answer.status_code
        assert answer.json["message"]
        assert "Traceback" not in answer.text
