"""Rules across fields: each with what breaks it, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler import errors, manifest


def container(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "pydock.dev/v1",
        "kind": "Container",
        "metadata": {"name": "web"},
        "spec": {"image": "nginx", **spec},
    }


def network(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "pydock.dev/v1", "kind": "Network", "metadata": {"name": "net"}, "spec": spec}


def told(document: dict[str, Any]) -> list[str]:
    try:
        manifest.check(document)
    except errors.Invalid as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"image": "UPPER"}, "spec.image: "),
        ({"image": "a:b:c"}, "spec.image: "),
        ({"image": "nginx@sha256:../../x"}, "spec.image: "),
        ({"env": [{"name": "A"}, {"name": "A"}]}, 'spec.env[1].name: "A" is given twice: first in spec.env[0]'),
        ({"env": [{"name": "A=B"}]}, "spec.env[0].name: "),
        ({"env": [{"name": "A\n"}]}, "spec.env[0].name: "),
        ({"env": [{"name": "A", "value": "\u00e9" * 70_000}]}, "spec.env[0]: longer than 131071 bytes"),
        ({"args": ["\u00e9" * 70_000]}, "spec.args[0]: longer than 131071 bytes"),
        ({"args": ["x" * 131_072]}, "spec.args[0]: the text has 131072 characters"),
        ({"networks": [{"name": "a"}, {"name": "a"}]}, 'spec.networks[1].name: "a" is given twice'),
        ({"dependsOn": [{"name": "web"}]}, "spec.dependsOn[0].name: a container cannot depend on itself"),
        ({"dependsOn": [{"name": "a"}, {"name": "a"}]}, 'spec.dependsOn[1].name: "a" is given twice'),
        ({"workingDir": "tmp"}, 'spec.workingDir: "tmp" is not an absolute path'),
        ({"workingDir": "/a/../b"}, "spec.workingDir: \"/a/../b\" contains '..'"),
        ({"workingDir": "/" + "a" * 256}, "spec.workingDir: a part of the path is longer than 255 bytes"),
        ({"workingDir": "/a\nb"}, 'spec.workingDir: "/a\\nb" is not an absolute path'),
        (
            {"mounts": [{"mountPath": "/" + "a" * 256, "tmpfs": {}}]},
            "spec.mounts[0].mountPath: a part of the path is longer",
        ),
        (
            {"mounts": [{"mountPath": "/a\nb", "tmpfs": {}}]},
            'spec.mounts[0].mountPath: "/a\\nb" is not an absolute path',
        ),
        (
            {"mounts": [{"mountPath": "/a", "hostPath": {"path": "/" + "a" * 256}}]},
            "spec.mounts[0].hostPath.path: a part of the path is longer",
        ),
        (
            {"mounts": [{"mountPath": "/a", "hostPath": {"path": "/a\nb"}}]},
            'spec.mounts[0].hostPath.path: "/a\\nb" is not an absolute path',
        ),
        ({"mounts": [{"mountPath": "/" + "a/" * 2048, "tmpfs": {}}]}, "the text has 4097 characters"),
        ({"networks": [{"name": "../x"}]}, 'spec.networks[0].name: "../x" is not a DNS label'),
        ({"dependsOn": [{"name": "a\n"}]}, 'spec.dependsOn[0].name: "a\\n" is not a DNS label'),
        ({"hostname": "a" * 64}, "spec.hostname: "),
        ({"sysctls": [{"name": "kernel.core_pattern", "value": "|x"}]}, "spec.sysctls: not yet supported"),
        ({"user": "2147483648"}, "spec.user: id 2147483648 is too large: expected at most 2147483647"),
        ({"user": "0:4294967295"}, "spec.user: id 4294967295 is too large"),
        ({"user": "-1"}, 'spec.user: "-1" is not a user name or uid'),
        ({"user": "a:b:c"}, "spec.user: "),
        ({"user": ""}, 'spec.user: "" is not a user name'),
        ({"user": 1000}, "spec.user: found the number 1000, expected a text"),
        ({"hostname": "a.b"}, "spec.hostname: "),
        ({"ports": [{"containerPort": 1}]}, "spec.ports[0].hostPort: required, but not given"),
        (
            {"ports": [{"containerPort": 0, "hostPort": 65536}]},
            "spec.ports[0].containerPort: found 0, expected 1 to 65535",
        ),
        (
            {
                "ports": [
                    {"containerPort": 1, "hostPort": 1},
                    {"containerPort": 2, "hostPort": 1, "hostIP": "127.0.0.1"},
                ]
            },
            "spec.ports[1].hostPort: TCP port 1 of the host is published twice: first in spec.ports[0]",
        ),
        ({"ports": [{"containerPort": 1, "hostPort": 1, "hostIP": "1.2.3.400"}]}, "spec.ports[0].hostIP: "),
        ({"ports": [{"containerPort": 1, "hostPort": 1, "protocol": "tcp"}]}, "did you mean TCP?"),
        ({"mounts": [{"mountPath": "/a"}]}, "spec.mounts[0]: exactly one of hostPath, tmpfs is needed: found none"),
        (
            {"mounts": [{"mountPath": "/a", "tmpfs": {}, "hostPath": {"path": "/"}}]},
            "spec.mounts[0]: exactly one of hostPath, tmpfs is needed: found hostPath and tmpfs",
        ),
        ({"mounts": [{"mountPath": "/", "tmpfs": {}}]}, "nothing can be mounted over the container's root"),
        ({"mounts": [{"mountPath": "/./", "tmpfs": {}}]}, "nothing can be mounted over the container's root"),
        ({"mounts": [{"mountPath": "/proc/x", "tmpfs": {}}]}, "/proc belongs to the kernel"),
        ({"mounts": [{"mountPath": "//sys", "tmpfs": {}}]}, "/sys belongs to the kernel"),
        ({"mounts": [{"mountPath": "/a/../b", "tmpfs": {}}]}, "spec.mounts[0].mountPath: "),
        (
            {"mounts": [{"mountPath": "/a/", "tmpfs": {}}, {"mountPath": "//a/.", "tmpfs": {}}]},
            'spec.mounts[1].mountPath: "/a" is mounted twice: first in spec.mounts[0]',
        ),
        ({"mounts": [{"mountPath": "/a", "hostPath": {"path": "etc"}}]}, "spec.mounts[0].hostPath.path: "),
        ({"mounts": [{"mountPath": "/a", "hostPath": {"path": "/etc/../x"}}]}, "spec.mounts[0].hostPath.path: "),
        ({"mounts": [{"mountPath": "/a", "tmpfs": {"sizeLimit": "0"}}]}, "spec.mounts[0].tmpfs.sizeLimit: 0 bytes"),
        ({"mounts": [{"mountPath": "/a", "tmpfs": {"sizeLimit": 0}}]}, "spec.mounts[0].tmpfs.sizeLimit: 0 bytes"),
        (
            {"ports": ["8080:80"]},
            'spec.ports[0]: found the text "8080:80", expected a map; write hostPort: 8080 and containerPort: 80',
        ),
        (
            {"ports": ["127.0.0.1:53:5353/udp"]},
            "expected a map; write hostIP: 127.0.0.1, hostPort: 53, containerPort: 5353 and protocol: UDP",
        ),
        ({"ports": [80]}, "expected a map; write containerPort: 80 and the hostPort that leads to it"),
        ({"ports": ["web"]}, 'spec.ports[0]: found the text "web", expected a map'),
        (
            {"env": ["LOG=a=b"]},
            'spec.env[0]: found the text "LOG=a=b", expected a map; write name: LOG and value: "a=b"',
        ),
        ({"mounts": ["/srv:/data:ro"]}, "write mountPath: /data, readOnly: true and hostPath: {path: /srv}"),
        ({"mounts": ["/srv:/data"]}, "write mountPath: /data and hostPath: {path: /srv}"),
        ({"networks": ["front"]}, "expected a map; write name: front"),
        ({"dependsOn": ["db"]}, "expected a map; write name: db"),
        (
            {"mounts": [{"mountPath": "/a", "tmpfs": {"sizeLimit": -1}}]},
            "spec.mounts[0].tmpfs.sizeLimit: '-1' is no quantity",
        ),
        ({"resources": {"limits": {"cpu": "1m"}}}, "spec.resources.limits.cpu: cpu 1m is out of range"),
        ({"resources": {"limits": {"cpu": True}}}, "spec.resources.limits.cpu: found the boolean true"),
        ({"resources": {"limits": {"memory": 4096}}}, "spec.resources.limits.memory: memory 4096 is too little"),
        ({"resources": {"limits": {"memory": "-1Mi"}}}, "spec.resources.limits.memory: "),
        ({"resources": {"limits": {"pids": 0}}}, "spec.resources.limits.pids: found 0, expected 1 to 4194304"),
        ({"stopSignal": "SIGFOO"}, "spec.stopSignal: 'SIGFOO' is no signal"),
        ({"stopSignal": "TERM "}, 'spec.stopSignal: "TERM " is not a signal such as SIGTERM, TERM, 15'),
        ({"stopSignal": 65}, "spec.stopSignal: found 65, expected 1 to 64"),
        ({"stopSignal": "65"}, "spec.stopSignal: '65' is no signal: expected one such as SIGTERM, QUIT, 15"),
        ({"stopSignal": 15.0}, "spec.stopSignal: found the number 15.0, expected a text or a whole number"),
        ({"stopSignal": True}, "spec.stopSignal: found the boolean true, expected a text or a whole number"),
        ({"mounts": [{"mountPath": "/dev/.", "tmpfs": {}}]}, "/dev holds the container's own devices"),
        ({"securityContext": {"capabilities": {"add": ["net_raw"]}}}, "did you mean NET_RAW?"),
        ({"terminationGracePeriodSeconds": -1}, "expected 0 to 86400"),
        ({"restartPolicy": "always"}, "did you mean Always?"),
    ],
)
def test_containers_that_are_refused(spec: dict[str, Any], said: str) -> None:
    assert any(said in line for line in told(container(**spec))), told(container(**spec))


@pytest.mark.parametrize(
    "spec",
    [
        {"image": "localhost:5000/a/b:c@sha256:" + "0" * 64},
        {"image": "[::1]:5000/a"},
        {"env": [{"name": "A"}, {"name": "a", "value": "x=y\n\u00e9"}]},
        {"workingDir": "/a b/\u00e9"},
        {"user": "2147483647:0"},
        {"user": "www-data:adm"},
        {"ports": [{"containerPort": 1, "hostPort": 1}, {"containerPort": 1, "hostPort": 1, "protocol": "UDP"}]},
        {
            "ports": [
                {"containerPort": 1, "hostPort": 1, "hostIP": "127.0.0.1"},
                {"containerPort": 1, "hostPort": 1, "hostIP": "127.0.0.2"},
            ]
        },
        {
            "mounts": [
                {"mountPath": "/a", "tmpfs": {"sizeLimit": "64k"}},
                {"mountPath": "/number", "tmpfs": {"sizeLimit": 1048576}},
                {"mountPath": "/a/b", "hostPath": {"path": "/x"}},
            ]
        },
        {"mounts": [{"mountPath": "/processes", "tmpfs": {}}]},
        {"resources": {"limits": {"cpu": 0.5, "memory": 67108864}}},
        {"resources": {"limits": {"cpu": "1.5", "memory": "6Mi", "pids": 1}}},
        *({"stopSignal": signal} for signal in ("SIGRTMIN+3", "TERM", "sigterm", "15", 15, "rtmax-1", 64)),
        {"mounts": [{"mountPath": "/a", "tmpfs": {"sizeLimit": 1048576}}]},
        {"mounts": [{"mountPath": "/dev/mine", "tmpfs": {}}]},
        {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"], "drop": ["ALL"]}}},
    ],
)
def test_containers_that_are_good(spec: dict[str, Any]) -> None:
    assert told(container(**spec)) == []


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"subnet": "10.1.2.3/24"},
            'spec.subnet: "10.1.2.3/24" has bits set beyond its prefix: did you mean 10.1.2.0/24?',
        ),
        ({"subnet": "8.8.8.0/24"}, "spec.subnet: 8.8.8.0/24 is not in a private range"),
        ({"subnet": "10.0.0.0/31"}, "spec.subnet: 10.0.0.0/31 has no room"),
        ({"subnet": "10.0.0.0/7"}, "spec.subnet: "),
        ({"subnet": "10.0.0.0"}, "spec.subnet: "),
        ({"subnet": "010.0.0.0/8"}, "spec.subnet: "),
        ({"subnet": "fd00::/64"}, "spec.subnet: "),
        ({"gateway": "10.0.0.1"}, "spec.gateway: a gateway needs spec.subnet beside it"),
        ({"subnet": "10.0.0.0/24", "gateway": "10.0.1.1"}, "spec.gateway: 10.0.1.1 is no host address of the subnet"),
        ({"subnet": "10.0.0.0/24", "gateway": "10.0.0.0"}, "expected one such as 10.0.0.1"),
        ({"subnet": "10.0.0.0/24", "gateway": "10.0.0.255"}, "expected one such as 10.0.0.1"),
        ({"subnet": "10.0.0.0/24", "gateway": "10.0.0.999"}, "spec.gateway: "),
        ({"mtu": 100}, "spec.mtu: found 100, expected 576 to 65535"),
        ({"subnets": []}, "spec.subnets: not yet supported"),
    ],
)
def test_networks_that_are_refused(spec: dict[str, Any], said: str) -> None:
    assert any(said in line for line in told(network(**spec))), told(network(**spec))


def test_networks_that_are_good() -> None:
    assert told(network()) == []
    assert told(network(subnet="100.64.0.0/10", gateway="100.64.0.1", mtu=9000, internal=True, masquerade=False)) == []


def test_one_wrong_entry_does_not_hide_the_others() -> None:
    wrong = container(
        mounts=[{"mountPath": 5}, {"mountPath": "/proc", "tmpfs": {}}], env=[{}, {"name": "A"}, {"name": "A"}]
    )
    assert sorted(line.partition(":")[0] for line in told(wrong)) == [
        "spec.env[0].name",
        "spec.env[2].name",
        "spec.mounts[0]",
        "spec.mounts[0].mountPath",
        "spec.mounts[1].mountPath",
    ]


def test_effective_specs_have_defaults() -> None:
    spec: Any = manifest.effective("Container", {"image": "a", "ports": [{"containerPort": 1, "hostPort": 2}]})
    assert (spec.ports[0].protocol, spec.ports[0].host_ip, spec.restart_policy) == ("TCP", "0.0.0.0", "Always")
    with pytest.raises(errors.Invalid, match="container spec"):
        manifest.effective("Container", {})
