"""Hostile texts, each in a process of its own: a clear problem, in bounded time and under 50 MB.

The measure is the whole process, interpreter and PyYAML included; an address space limit makes a runaway fail at once.
VmHWM and not ru_maxrss, which counts what the forking test runner had.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """\
import resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))
from reconciler import manifest
with open(sys.argv[1], "rb") as file:
    data = file.read((1 << 20) + 1)
began = time.process_time()
loaded = manifest.load(data, sys.argv[1])
took = time.process_time() - began
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(len(loaded.documents), len(loaded.problems), took, int(status["VmHWM"].split()[0]) // 1024)
print(*loaded.problems, sep="\\n")
"""
_HEAD = b"apiVersion: pydock.dev/v1\nkind: Container\nmetadata: {name: a}\nspec:\n  image: a\n"


def _bomb() -> bytes:
    lines = [b"a: &a [" + b",".join([b"x"] * 9) + b"]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{','.join(['*' + before] * 9)}]".encode())
    return b"\n".join(lines)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "brackets.yaml": (b"[" * 200_000, "nested too deep"),
    "braces.yaml": (b"{a: " * 200_000, "nested too deep"),
    "dashes.yaml": (b"- " * 200_000, "nested too deep"),
    "indents.yaml": (b"".join(b" " * level + b"a:\n" for level in range(1400)), "nested too deep"),
    "brackets.json": (b"[" * 200_000, "nested too deep"),
    "objects.json": (b'{"a":' * 200_000, "nested too deep"),
    "bomb.yaml": (_bomb(), "more than 50000 values"),
    "big-alias.yaml": (b"a: &a " + b"x" * 500_000 + b"\nb: [" + b"*a," * 50_000 + b"]", "characters of text"),
    "self.yaml": (b"a: &a [*a]", "stands inside of what it names"),
    "digits.yaml": (b"a: " + b"9" * 5000, "the number is too long"),
    "million-digits.yaml": (b"a: " + b"9" * 1_000_000, "the number is too long"),
    "digits.json": (b"9" * 1_000_000, "at most 40 are allowed"),
    "nan.json": (b"[NaN, Infinity]", "found 'NaN'"),
    "inf.yaml": (b"a: .inf", "infinity is no value here"),
    "surrogate.json": (b'"\\ud800"', "lone surrogate"),
    "nul.yaml": (b"a\x00: b", "NUL is not allowed"),
    "latin.yaml": (b"a: \xe9t\xe9", "not UTF-8"),
    "ten-megabytes.yaml": (b"a: b\n" * 2_000_000, "more than 1048576 bytes"),
    "scalars.yaml": (b"[" + b"a," * 520_000 + b"]", "more than 50000 values"),
    "lists.yaml": (b"[" + b"[]," * 340_000 + b"]", "more than 50000 values"),
    "lists.json": (b"[" + b"[]," * 340_000 + b"0]", "more than 50000 values"),
    "keys.yaml": (b"".join(b"k%d: 1\n" % number for number in range(90_000)), "more than 50000 values"),
    "twice.yaml": (b"a: 1\n" * 20_000, "given twice"),
    "documents.yaml": (b"a\n---\n" * 170_000, "expected a map"),
    "anchors.yaml": (b"".join(b"- &a%d x\n" % number for number in range(80_000)), "more than 50000 values"),
    "directives.yaml": (b"%TAG !a! x\n" * 90_000, "directives are not supported"),
    "escapes.yaml": (b'"' + b"\\n" * 500_000 + b'"', "expected a map"),
    "long-key.yaml": (b"a" * 1_000_000 + b": b", "not valid YAML"),
    "wide.yaml": ("\U0001f600".encode() * 250_000, "expected a map"),
    "line-breaks.yaml": (b"\n" * 1_000_000 + b"a: [", "not valid YAML"),
    "unknown.yaml": (_HEAD + b"".join(b"  k%d: 1\n" % number for number in range(20_000)), "unknown field"),
    "entries.yaml": (_HEAD + b"  env:\n" + b"  - {nam: 1}\n" * 12_000, "required, but not given"),
    "labels.yaml": (
        b"apiVersion: pydock.dev/v1\nkind: Network\nmetadata:\n  name: a\n  labels:\n"
        + b"".join(b"    -%d: 5\n" % number for number in range(20_000)),
        "is not",
    ),
    "last-is-wrong.yaml": (
        b"".join(
            b"{apiVersion: pydock.dev/v1, kind: Network, metadata: {name: n%d}}\n---\n" % number
            for number in range(1900)
        )
        + b"{apiVersion: pydock.dev/v1, kind: Network, metadata: {name: N}}\n---\n" * 90,
        "is not a DNS label",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_clear_problem_within_bounds(name: str, tmp_path: Path) -> None:
    text, said = HOSTILE[name]
    (tmp_path / name).write_bytes(text)
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM, name], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    facts, _, told = run.stdout.partition("\n")
    _, problems, took, megabytes = facts.split()
    assert said in told
    assert 1 <= int(problems) <= 101
    assert float(took) < 5.0
    assert int(megabytes) < 50


def test_as_many_good_documents_as_a_file_may_have(tmp_path: Path) -> None:
    one = "apiVersion: pydock.dev/v1\nkind: Container\nmetadata: {{name: n{}}}\nspec:\n  image: a\n  args: {}\n---\n"
    (tmp_path / "a.yaml").write_text("".join(one.format(number, ["x"] * 80) for number in range(1900)))
    assert 900_000 < (tmp_path / "a.yaml").stat().st_size < 1 << 20
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "a.yaml"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    documents, problems, _, megabytes = run.stdout.splitlines()[0].split()
    assert (documents, problems) == ("1900", "0")
    assert int(megabytes) < 50
