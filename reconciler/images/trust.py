"""The trust policy: a file that decides which images may be pulled, and called by which names.

It is asked for each pull before any layer is fetched, and for each name that an image is to be given.

::

    default: reject                       # accept (also without a file), reject, or signed
    rules:
      - scope: docker.io/library          # a registry, a repository, or those below a path: the longest counts
        verdict: accept
      - scope: registry.example/team
        verdict: signed
        keys: [/etc/pydock/keys/team.pub]
        identity: upstream.example/team   # what the signatures call it; by default what it is called here

The file is read for each question. One that cannot be read, or is wrong, lets nothing in.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import yaml

from reconciler import errors
from reconciler.drivers.registry import signatures
from reconciler.drivers.registry.base import Registry
from reconciler.model import references
from reconciler.model.references import Reference

#: where the policy is when nothing is said: there it may be missing
DEFAULT = "/etc/pydock/policy.yaml"
Verdict = Literal["accept", "reject", "signed"]
_MOST_BYTES = 1 << 20


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``keys`` are paths of public keys in PEM form, any of which will do."""

    scope: str
    verdict: Verdict
    keys: tuple[str, ...] = ()
    identity: str = ""


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    default: Verdict = "accept"
    keys: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()


class Trust:
    """The policy in the file ``path``; empty: everything is let in."""

    def __init__(self, path: str = "") -> None:
        self._path = path

    def admit(self, reference: Reference, registry: Registry, digests: Sequence[str]) -> None:
        """Raises ``Permanent`` if the image with ``digests`` (its manifest's, its index's) may not be pulled, or be
        called by that name; ``registry`` is asked for signatures."""
        rule = self._rule(reference)
        if rule.verdict == "reject":
            raise self._refused(reference, rule, "lets no image of it in")
        if rule.verdict == "signed":
            self._check_signed(reference, rule, registry, tuple(dict.fromkeys(digests)))

    def admit_unsigned(self, reference: Reference) -> None:
        """The same for an image that comes from an archive or a container, which have no signatures."""
        rule = self._rule(reference)
        if rule.verdict != "accept":
            why = (
                "lets no image of it in"
                if rule.verdict == "reject"
                else "wants a signature, which archives have none of"
            )
            raise self._refused(reference, rule, why)

    def check(self) -> None:
        """Raises ``Permanent`` saying what is wrong with the policy."""
        for rule in self._read():
            for path in rule.keys:
                self._key(path)

    def _check_signed(self, reference: Reference, rule: Rule, registry: Registry, digests: Sequence[str]) -> None:
        keys = [self._key(path) for path in rule.keys]
        problems: list[str] = []
        for digest in digests:
            for found in registry.signatures(reference, digest):
                problem = signatures.problem(found, keys, digests, _identity(reference, rule))
                if not problem:
                    return
                problems.append(problem)
        why = "; ".join(dict.fromkeys(problems)) or "there is none"
        raise self._refused(reference, rule, f"wants a signature by one of {', '.join(rule.keys)}: {why}")

    def _key(self, path: str) -> Any:
        try:
            return signatures.key(path)
        except errors.Permanent as error:
            raise self._wrong(error.message) from None

    def _rule(self, reference: Reference) -> Rule:
        fitting = [rule for rule in self._read() if not rule.scope or references.in_scope(reference, rule.scope)]
        return max(fitting, key=lambda rule: len(rule.scope))

    def _read(self) -> list[Rule]:
        """The default (without a scope) and all rules, checked."""
        written = self._written()
        rules = [Rule("", written.default, written.keys), *(self._checked(rule) for rule in written.rules)]
        scopes = [rule.scope for rule in rules]
        if twice := {scope for scope in scopes if scopes.count(scope) > 1}:
            raise self._wrong(f"more than one rule is for {', '.join(sorted(twice))}")
        for rule in rules:
            where = f"the rule for {rule.scope}" if rule.scope else "the default"
            if (rule.verdict == "signed") != bool(rule.keys):
                raise self._wrong(f"{where}: keys belong to the verdict signed, and it needs one")
            if relative := [path for path in rule.keys if not os.path.isabs(path)]:
                raise self._wrong(f"{where}: key {relative[0]!r}: expected an absolute path")
        return rules

    def _written(self) -> _Written:
        if not self._path:
            return _Written()
        try:
            with open(self._path, "rb") as file:
                raw = file.read(_MOST_BYTES)
        except FileNotFoundError as error:
            if self._path == DEFAULT:
                return _Written()
            raise self._wrong((error.strerror or "").lower()) from None
        except OSError as error:
            raise self._wrong((error.strerror or str(error)).lower()) from None
        try:
            return msgspec.convert(yaml.safe_load(raw) or {}, _Written)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"line {mark.line + 1}: " if mark else ""
            raise self._wrong(f"{where}{getattr(error, 'problem', '') or 'it is no YAML'}") from None
        except (msgspec.ValidationError, RecursionError) as error:
            raise self._wrong(str(error)) from None

    def _checked(self, rule: Rule) -> Rule:
        try:
            scope = references.parse_scope(rule.scope)
            identity = references.parse_scope(rule.identity) if rule.identity else ""
        except errors.Invalid as error:
            raise self._wrong(f"the rule for {rule.scope!r}: {error.message}") from None
        return msgspec.structs.replace(rule, scope=scope, identity=identity)

    def _wrong(self, why: str) -> errors.Permanent:
        return errors.Permanent(f"policy {self._path}: {why}: no image comes in before that is put right")

    def _refused(self, reference: Reference, rule: Rule, why: str) -> errors.Permanent:
        which = f"its rule for {rule.scope}" if rule.scope else "its default"
        return errors.Permanent(f"image {reference}: policy {self._path}: {which} {why}")


def _identity(reference: Reference, rule: Rule) -> str:
    """What signatures must call the image: below a scope that has another name, the same path below that name."""
    return rule.identity + reference.name.removeprefix(rule.scope) if rule.identity else reference.name
