"""One container, from the request to the answer through its published port; the image is there, seccomp is on."""

from __future__ import annotations

from bench import clock
from bench.report import Line
from bench.stage import Stage


def measure(stage: Stage) -> list[Line]:
    host, podman, bare = stage.host, stage.podman, stage.bare
    found: dict[str, list[float]] = {"api": [], "apply": [], "apply and wait": [], "podman": [], "bare": []}
    removal = {"podman": podman.remove, "bare": bare.remove}
    for _ in stage.rounds(15, 5):
        for way, seconds in found.items():
            name, port = stage.port("one")
            file = stage.work / f"{name}.yaml"
            file.write_text(host.text(name, port))
            with clock.Stopwatch() as watch:
                if way == "podman":
                    podman.run(name, port)
                elif way == "bare":
                    bare.run(name, port)
                elif way == "api":
                    host.apply(host.document(name, port))
                else:
                    assert host.cli("apply", "-f", str(file)).returncode == 0
                    if way == "apply and wait":
                        done = host.cli(
                            "wait", "--for=condition=Ready", f"container/{name}", "--timeout", "20s", "--min-ready", "0"
                        )
                        assert done.returncode == 0, done.stderr
                clock.served([port])
            seconds.append(watch.seconds)
            removal.get(way, host.remove)(name)
            file.unlink()
    peers = {"podman": found["podman"], "bare": found["bare"]}
    return [
        Line("one container, over the API", found["api"], peers=peers, against="podman", most=0.65),
        Line("… `pydock apply -f` around it", found["apply"], peers=peers, against="podman", most=1.0),
        Line("… `pydock apply -f` and `pydock wait`", found["apply and wait"], peers=peers, against="podman", most=1.0),
    ]
