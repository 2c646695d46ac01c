"""``make demo``: a host on which files turn into running containers that nothing can knock over.

Everything is real and temporary: a loopback registry with a small image made of busybox, a pydockd of its own instance
in a temporary root, and manifests dropped into its directory. Each step prints what is done and what is seen; a step
that does not come true ends the demo with status 1. Nothing is left over, unless ``--keep`` is given.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from reconciler.model import names
from reconciler.testing import graph_tars, images, wait

BIN = Path(sys.executable).parent
_BALLAST = 192 << 20
_BOLD, _DIM, _OFF = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


class Demo:
    def __init__(self, work: Path, image: str) -> None:
        self.work = work
        self.image = image
        self.manifests = work / "manifests"
        self.socket = work / "run" / "pydock.sock"
        self.instance = f"demo{os.getpid()}"
        self.port = free_port()
        self.daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.manifests.mkdir()
        log = (self.work / "pydockd.log").open("wb")
        self.daemon = subprocess.Popen(
            [
                BIN / "pydockd", "--root", self.work / "root", "--run-dir", self.work / "run",
                "--manifests", self.manifests, "--instance", self.instance,
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
        log.close()
        wait.until(lambda: self.alive() and self.cli("version", check=False).returncode == 0, 30.0, "pydockd to answer")

    def alive(self) -> bool:
        assert self.daemon is not None
        if self.daemon.poll() is not None:
            raise SystemExit(
                f"pydockd ended with status {self.daemon.returncode}:\n{(self.work / 'pydockd.log').read_text()}"
            )
        return True

    def cli(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [str(BIN / "pydock"), "-H", f"unix://{self.socket}", *words]
        return subprocess.run(command, check=check, capture_output=True, text=True, timeout=60)

    def show(self, *words: str) -> str:
        """Runs the client as a person would, and prints what it says."""
        print(f"{_DIM}    $ pydock {' '.join(words)}{_OFF}")
        done = self.cli(*words, check=False)
        for line in (done.stdout + done.stderr).splitlines():
            print(f"      {line}")
        return done.stdout

    def watch(self, *words: str) -> None:
        """The same for what is worth being watched: a terminal shows it while it happens."""
        if not sys.stdout.isatty():
            self.show(*words)
            return
        print(f"{_DIM}    $ pydock {' '.join(words)}{_OFF}", flush=True)
        subprocess.run([str(BIN / "pydock"), "-H", f"unix://{self.socket}", *words], check=False, timeout=60)

    def drop(self, name: str, text: str) -> None:
        (self.manifests / name).write_text(text)
        print(f"{_DIM}    $ cat {self.manifests / name}{_OFF}")
        for line in text.splitlines():
            print(f"      {line}")

    def web(self, page: str) -> str:
        return f"""\
apiVersion: pydock.dev/v1
kind: Container
metadata:
  name: web
spec:
  image: {self.image}
  command: [sh, -c]
  args: ["mkdir -p /www && echo '{page}' > /www/index.html && exec httpd -f -p 8080 -h /www"]
  terminationGracePeriodSeconds: 1
  ports:
    - containerPort: 8080
      hostPort: {self.port}
"""

    def fetch(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=2) as answer:
            return str(answer.read().decode().strip())

    def page(self) -> str:
        with contextlib.suppress(OSError):
            return self.fetch()
        return ""

    def pid(self) -> int:
        text = self.cli("get", "container", "web", "-o", "jsonpath={.status.pid}", check=False).stdout.strip()
        return int(text) if text.isdigit() else 0

    def stop(self) -> None:
        """Removes what the demo made, then ends the daemon."""
        if self.daemon is None or self.daemon.poll() is not None:
            return
        for file in self.manifests.glob("*.yaml"):
            file.unlink()
        with contextlib.suppress(AssertionError):
            wait.until(self.empty, 30.0, "all containers to be gone")
        self.daemon.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.daemon.wait(20)

    def empty(self) -> bool:
        """Whether no object is left, the default network included."""
        listed = [self.cli("get", kind, "-A", "-o", "name", check=False) for kind in ("containers", "networks")]
        return all(done.returncode == 0 and not done.stdout.strip() for done in listed)

    def left_over(self) -> list[str]:
        """What this instance still has in the kernel."""
        links = subprocess.run(["ip", "-details", "link"], capture_output=True, text=True, check=True).stdout
        mounts = Path("/proc/self/mountinfo").read_text()
        cgroups = [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{names.slice_name(self.instance)}")]
        found = {
            "links": f"pydock:{self.instance}:" in links,
            "mounts": str(self.work) in mounts,
            "firewall table": bool(self.table()),
            "cgroups": bool(cgroups),
        }
        return [what for what, there in found.items() if there]

    def tail(self) -> str:
        log = self.work / "pydockd.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-30:]) if log.exists() else ""

    def table(self) -> str:
        done = subprocess.run(
            ["nft", "list", "table", "ip", names.nft_table(self.instance)], capture_output=True, text=True
        )
        return done.stdout if done.returncode == 0 else ""


def image() -> images.Image:
    """A busybox that serves pages, below it something large enough for its pull to be watched."""
    ballast = graph_tars.archive([graph_tars.Member(b"ballast", os.urandom(_BALLAST))])
    return images.build([ballast, images.busybox_layer()], {"Env": ["PATH=/bin"], "WorkingDir": "/"}, packing="plain")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def step(number: int, text: str) -> None:
    print(f"\n{_BOLD}{number}. {text}{_OFF}")


def seen(text: str, began: float) -> None:
    print(f"    → {text} ({time.monotonic() - began:.2f} s)")


def expect(predicate: Callable[[], object], what: str, timeout: float = 20.0) -> float:
    """Waits until it is so; returns when that began to be waited for."""
    began = time.monotonic()
    wait.until(predicate, timeout, what)
    return began


def run(demo: Demo) -> None:
    step(1, "A daemon on its embedded defaults, in a temporary root")
    began = time.monotonic()
    demo.start()
    seen(f"pydockd runs as instance {demo.instance!r} and answers", began)
    demo.show("version")

    step(2, "An image is pulled from the loopback registry")
    began = time.monotonic()
    demo.watch("pull", demo.image)
    seen("it is verified, unpacked and on disk", began)

    step(3, "A file dropped into its directory becomes a running container")
    demo.drop("web.yaml", demo.web("hello from pydock"))
    began = expect(lambda: demo.page() == "hello from pydock", "the page")
    seen(f"http://127.0.0.1:{demo.port}/ answers {demo.fetch()!r}", began)
    demo.show("get", "containers", "-o", "wide")

    step(4, "Its process is killed; it comes back")
    pid = wait.until(demo.pid, 10.0, "a pid")
    print(f"{_DIM}    $ kill -9 {pid}{_OFF}")
    os.kill(pid, signal.SIGKILL)
    began = expect(
        lambda: demo.pid() not in (0, pid) and demo.page() == "hello from pydock", "the container to come back"
    )
    seen(f"pid {pid} is now pid {demo.pid()}, and the page is served again", began)

    step(5, "Our firewall rules are flushed; they come back, and the container does not notice")
    pid = demo.pid()
    print(f"{_DIM}    $ nft flush table ip {names.nft_table(demo.instance)}{_OFF}")
    subprocess.run(["nft", "flush", "table", "ip", names.nft_table(demo.instance)], check=True)
    began = expect(lambda: demo.page() == "hello from pydock" and "dnat" in demo.table(), "the rules to come back")
    if demo.pid() != pid:
        raise SystemExit("the container was restarted, which a lost rule must not cause")
    seen(f"rules are back, pid is still {pid}", began)

    step(6, "An edited manifest: first the plan, then the deed")
    edited = demo.work / "web-edited.yaml"
    edited.write_text(demo.web("hello again"))
    demo.show("diff", "-f", str(edited))
    print(f"{_DIM}    $ cp {edited} {demo.manifests / 'web.yaml'}{_OFF}")
    shutil.copy(edited, demo.manifests / "web.yaml")
    began = expect(lambda: demo.page() == "hello again", "the new page")
    seen(f"http://127.0.0.1:{demo.port}/ now answers {demo.fetch()!r}", began)
    demo.show("events", "--for", "container/web")

    step(7, "The file is deleted")
    (demo.manifests / "web.yaml").unlink()
    print(f"{_DIM}    $ rm {demo.manifests / 'web.yaml'}{_OFF}")
    began = expect(lambda: not demo.cli("get", "containers", "-o", "name").stdout.strip(), "the container to go")
    seen("no container is left", began)
    demo.show("jobs")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave daemon, registry and container running")
    keep = parser.parse_args().keep
    if os.geteuid() != 0:
        sys.stderr.write("the demo must run as root: it mounts, makes network namespaces and writes firewall rules\n")
        return 1
    work = Path(tempfile.mkdtemp(prefix="pydock-demo-"))
    step(0, "A loopback registry with a small image, built from busybox-static and pushed")
    began = time.monotonic()
    server = images.start_registry(work)
    reference = images.push(server.address, "demo/busybox", "1", image())
    seen(f"pushed {reference}", began)
    demo = Demo(work, reference)
    try:
        run(demo)
        if keep:
            keep_running(demo, server)
            return 0
    except AssertionError as error:
        sys.stdout.flush()
        sys.stderr.write(f"\nthis did not come true: {error}\n\nthe daemon's log ends so:\n{demo.tail()}\n")
        keep = False
        return 1
    finally:
        if not keep:
            end(demo, server)
    try_next()
    return 0


def end(demo: Demo, server: images.Server) -> None:
    """Stops everything; says so if something is left over."""
    demo.stop()
    server.stop()
    left = demo.left_over()
    shutil.rmtree(demo.work, ignore_errors=True)
    print("\nEverything is stopped, and nothing is left over." if not left else f"\nleft over: {', '.join(left)}")


def keep_running(demo: Demo, server: images.Server) -> None:
    demo.drop("web.yaml", demo.web("hello from pydock"))
    expect(lambda: demo.page() == "hello from pydock", "the page")
    assert demo.daemon is not None
    print(f"""
KEEP=1: everything goes on.
  daemon     pid {demo.daemon.pid}, log {demo.work}/pydockd.log
  registry   pid {server.process.pid}, {server.address}
  manifests  {demo.manifests}
  client     {BIN}/pydock -H unix://{demo.socket} get containers
To end it: rm {demo.manifests}/*.yaml; kill {demo.daemon.pid} {server.process.pid}; rm -r {demo.work}""")


def try_next() -> None:
    print(f"""
Try next:
  make demo KEEP=1                 leaves it running, for you to break
  {BIN}/pydockd --help             the daemon's flags; as root it reads /etc/pydock.d
  ls manifests/                    one small example a feature
  README.md, docs/concepts.md      what it does, and why""")


if __name__ == "__main__":
    sys.exit(main())
