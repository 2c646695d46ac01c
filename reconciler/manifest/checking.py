"""One parsed document to a checked one: envelope, schema, rules."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import msgspec

from reconciler import errors
from reconciler.kinds import table
from reconciler.manifest import contract, locating, paths, rules, schema, sentences
from reconciler.manifest.sentences import Finding
from reconciler.model import kinds, references
from reconciler.model.fields import Spec
from reconciler.model.keys import Key
from reconciler.model.objects import Document

_KINDS = {kind.name: kind for kind in kinds.KINDS}


def check(document: Any, file: str = "") -> Document:
    """The typed document. Raises ``errors.Invalid`` with all problems, without lines (nothing here knows the text)."""
    made, findings = examine(document)
    if made is None:
        raise errors.Invalid(problems=problems(findings, file))
    return made


def effective(kind: str, spec: dict[str, Any]) -> Spec:
    """What ``spec`` means once defaults are applied, in the type of the kind's specs (``ContainerSpec`` …).

    Raises ``errors.Invalid`` for a spec that no ``check`` would have let through.
    """
    try:
        made: Spec = msgspec.convert(spec, table.spec_type(kind))
    except msgspec.ValidationError as error:
        raise errors.Invalid(f"{kind.lower()} spec: {error}") from None
    return made


def examine(document: Any) -> tuple[Document | None, list[Finding]]:
    """The typed document, or None and what is wrong."""
    if not isinstance(document, dict):
        return None, [
            Finding(
                (), f"found {sentences.describe(document)}, expected a map with apiVersion, kind, metadata and spec"
            )
        ]
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        return None, _unknown_kind(document)
    findings = schema.check(contract.file_of(kind), document)
    if not _host_scoped_right(kind, document):
        findings.append(
            Finding(("metadata", "namespace"), f"{kind} is of host scope: it has no namespace", at_key=True)
        )
    key = _key(kind, document)
    findings += rules.check(kind, key, _sane(document, findings))
    if findings:
        return None, findings
    metadata = document["metadata"]
    spec = _named(document.get("spec", {}))
    return Document(key, metadata.get("labels", {}), metadata.get("annotations", {}), spec), []


def problems(
    findings: list[Finding], file: str, spots: Mapping[paths.Path, locating.Spot] | None = None
) -> list[errors.Problem]:
    """Findings as problems, with their places where ``spots`` has them."""
    return [_problem(finding, file, (spots or {}).get(finding.path)) for finding in findings]


def _problem(finding: Finding, file: str, spot: locating.Spot | None) -> errors.Problem:
    field = paths.render(finding.path)
    if spot is None:
        return errors.Problem(finding.message, field, file)
    message = finding.message
    if finding.scalar and spot.text:
        written = sentences.quote(spot.text)
        message = (
            f"found {spot.text[:60]}, which YAML takes for {_taken_for(message)}: write {written} to mean the text"
        )
    line, column = (spot.key_line, spot.key_column) if finding.at_key else (spot.line, spot.column)
    return errors.Problem(message, field, file, line, column)


def _taken_for(message: str) -> str:
    return message.removeprefix("found ").partition(",")[0]


def _unknown_kind(document: dict[str, Any]) -> list[Finding]:
    findings = []
    if "apiVersion" not in document:
        findings.append(Finding(("apiVersion",), f"required, but not given: write {kinds.API_VERSION}", at_key=True))
    kind = document.get("kind")
    if kind is None:
        findings.append(
            Finding(("kind",), f"required, but not given: expected one of {', '.join(_KINDS)}", at_key=True)
        )
    elif kind in kinds.RESERVED:
        findings.append(Finding(("kind",), f"{kind} is not yet supported"))
    else:
        findings += sentences.one_of_texts(kind, [*_KINDS], ("kind",))
    return findings + schema.check(contract.METADATA, document.get("metadata", {}), ("metadata",))


def _host_scoped_right(kind: str, document: dict[str, Any]) -> bool:
    return _KINDS[kind].namespaced or "namespace" not in _map(document.get("metadata"))


def _key(kind: str, document: dict[str, Any]) -> Key:
    metadata = _map(document.get("metadata"))
    return Key.of(kind, _text(metadata.get("name")), _text(metadata.get("namespace")))


def _named(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec with the image's registry in small letters: whoever names the same image is found by its text."""
    images: dict[str, Any] = {
        field: references.small_registry(spec[field]) for field in ("image", "reference") if field in spec
    }
    return {**spec, **images}


def _sane(document: dict[str, Any], findings: list[Finding]) -> dict[str, Any]:
    """The spec without what is wrong already, so that rules see sane types only: wrong fields are left out, wrong
    entries of lists are None."""
    spec = _map(document.get("spec"))
    wrong = [finding.path[1:] for finding in findings if len(finding.path) > 1 and finding.path[0] == "spec"]
    if wrong:
        spec = copy.deepcopy(spec)
        for path in wrong:
            _cut(spec, path)
    return spec


def _cut(value: Any, path: paths.Path) -> None:
    for step in path[:-1]:
        value = value.get(step) if isinstance(value, dict) else value
        if isinstance(value, list):
            break
    index = next((step for step in path if isinstance(step, int)), None)
    if isinstance(value, list) and index is not None:
        value[index] = None
    elif isinstance(value, dict):
        value.pop(str(path[-1]), None)


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
