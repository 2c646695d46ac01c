"""Who asks: the controller learns it from the kernel, of every kind of request."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from reconciler.model.callers import Caller
from reconciler.testing.engine_api import Served
from reconciler.testing.wait import until

BASE = "/apis/pydock.dev/v1"
WEB = f"{BASE}/namespaces/default/containers/web"

#: asks as user 1000 and group 1001, from the socket's directory
ANOTHER = """
import os, socket
os.setresgid(1001, 1001, 1001)
os.setresuid(1000, 1000, 1000)
client = socket.socket(socket.AF_UNIX)
client.connect("api.sock")
client.sendall(b"GET /version HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
while client.recv(4096):
    pass
"""


def test_every_request_bears_its_client(own: Served) -> None:
    me = Caller(os.geteuid(), os.getegid(), os.getpid())
    own.engine.put("Container", "default", "web")
    for method, target, body in (
        ("GET", WEB, None),
        ("GET", f"{BASE}/containers", None),
        ("PUT", WEB, {"spec": {}}),
        ("DELETE", WEB, None),
        ("GET", f"{BASE}/events", None),
        ("POST", f"{BASE}/pull", {"reference": "a"}),
        ("POST", f"{BASE}/system/check", {}),
        ("GET", f"{BASE}/graph/images/save?references=a", None),
    ):
        before = len(own.engine.callers)
        assert own.ask(method, target, body).code in (200, 201), target
        assert own.engine.callers[before:] == [me], target
    load = own.ask("POST", f"{BASE}/graph/images/load", b"archive", media_type="application/x-tar")
    assert (load.code, own.engine.callers[-1]) == (200, me)


def test_a_client_of_another_user(own: Served) -> None:
    os.chmod(own.path, 0o666)
    os.chmod(Path(own.path).parent, 0o755)
    client = subprocess.Popen([sys.executable, "-c", ANOTHER], cwd=Path(own.path).parent)
    assert client.wait(20) == 0
    assert own.engine.callers == [Caller(1000, 1001, client.pid)]


def test_the_controller_does_not_hold_the_clients_socket(own: Served) -> None:
    """Else a client would not see that its answer has ended."""
    before = len(os.listdir("/proc/self/fd"))
    with own.stream(f"{BASE}/containers?watch=true") as answer:
        until(lambda: own.engine.watching, what="the watch")
        # its stream on the engine socket, and the connection of this test
        assert len(os.listdir("/proc/self/fd")) <= before + 3
        assert answer.status == 200
    until(lambda: len(os.listdir("/proc/self/fd")) == before, what="all to be closed")
