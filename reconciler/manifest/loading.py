"""Whole texts: manifest files with all their problems, and the bodies of requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from reconciler import errors
from reconciler.manifest import building, checking, events, json_events, locating, paths, schema, sentences, text
from reconciler.model.keys import Key
from reconciler.model.objects import Document

#: documents of one file
MAX_DOCUMENTS = 2_000
#: number of problems that are reported for one file
MAX_PROBLEMS = schema.MAX_FINDINGS
#: problems without a line come last
_LAST = 1 << 30
_LIST_FIELDS = frozenset({"apiVersion", "kind", "metadata", "items"})


class Located(NamedTuple):
    """A checked document, the line it starts in, and its value as parsed (with the envelope that ``document`` leaves
    out)."""

    document: Document
    line: int
    raw: dict[str, Any]


class Loaded(NamedTuple):
    """What a file holds. With any problem the file as a whole is not to be used; without problems and documents it is
    empty."""

    documents: tuple[Located, ...]
    problems: tuple[errors.Problem, ...]


class _Item(NamedTuple):
    """One candidate: the index of its YAML document and its path in it."""

    document: int
    path: paths.Path
    value: Any
    line: int


def load(data: bytes, file: str) -> Loaded:
    """All documents and all problems of a manifest file (JSON if its name ends so, else YAML). Never raises for what
    ``data`` holds."""
    return _Loading(data, file).result()


def parse_json(data: bytes, max_bytes: int = text.MAX_BYTES, max_nodes: int = building.MAX_NODES) -> Any:
    """The value of a JSON text under the same guards as a manifest's. Raises ``errors.Invalid``; an empty text too."""
    return _one(data, is_json=True, max_bytes=max_bytes, max_nodes=max_nodes)


def parse_yaml_body(data: bytes) -> Any:
    """The value of the one YAML document of a request's body. Raises ``errors.Invalid``."""
    return _one(data, is_json=False, max_bytes=text.MAX_BYTES, max_nodes=building.MAX_NODES)


class _Loading:
    """One file. Findings are kept until the end, when one more reading of the text tells where they stand."""

    def __init__(self, data: bytes, file: str) -> None:
        self._data, self._file, self._is_json = data, file, file.endswith(".json")
        self._text = ""
        self._problems: list[errors.Problem] = []
        self._findings: dict[int, list[sentences.Finding]] = {}
        self._located: list[Located] = []
        self._lines: dict[Key, int] = {}

    def result(self) -> Loaded:
        try:
            self._text = text.decode(self._data)
            for item in self._items():
                self._examine(item)
                if len(self._problems) + sum(map(len, self._findings.values())) >= MAX_PROBLEMS:
                    break
        except events.Broken as broken:
            self._report(broken.problem(""))
        return Loaded(tuple(self._located), self._all_problems())

    def _report(self, problem: errors.Problem) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(problem._replace(file=self._file))

    def _all_problems(self) -> tuple[errors.Problem, ...]:
        """In the order of the text. What the parser doubts, the schema need not find wrong as well."""
        doubted = {(problem.line, problem.column) for problem in self._problems}
        placed = [problem for problem in self._placed() if (problem.line, problem.column) not in doubted]
        found = sorted(self._problems + placed, key=lambda problem: problem.line or _LAST)
        if len(found) < MAX_PROBLEMS:
            return tuple(found)
        return (*found[:MAX_PROBLEMS], errors.Problem("there may be more problems: mend these first", file=self._file))

    def _placed(self) -> Iterator[errors.Problem]:
        if not self._findings:
            return
        wanted = {index: [finding.path for finding in findings] for index, findings in self._findings.items()}
        spots = locating.find(_parse(self._text, self._is_json), wanted)
        for index, findings in self._findings.items():
            yield from checking.problems(findings, self._file, spots.get(index))

    def _items(self) -> Iterator[_Item]:
        for index, tree in enumerate(building.build(_parse(self._text, self._is_json), self._report)):
            if len(self._located) >= MAX_DOCUMENTS:
                raise events.Broken(f"more than {MAX_DOCUMENTS} documents: split the file", tree.line, tree.column)
            if tree.value is None:
                continue
            if isinstance(tree.value, dict) and tree.value.get("kind") == "List":
                yield from self._listed(index, tree)
            else:
                yield _Item(index, (), tree.value, tree.line)

    def _listed(self, index: int, tree: building.Tree) -> Iterator[_Item]:
        """``kind: List``, as kubectl writes several objects."""
        entries = tree.value.get("items", [])
        odd = [name for name in tree.value if name not in _LIST_FIELDS]
        if odd or not isinstance(entries, list):
            message = f"a List has only items: {odd[0]} is unknown" if odd else "items: expected a list"
            raise events.Broken(message, tree.line, tree.column)
        for position, entry in enumerate(entries):
            yield _Item(index, ("items", position), entry, tree.line)

    def _examine(self, item: _Item) -> None:
        document, findings = checking.examine(item.value)
        if document is None:
            placed = [finding._replace(path=item.path + finding.path) for finding in findings]
            self._findings.setdefault(item.document, []).extend(placed)
            return
        first = self._lines.get(document.key)
        if first is not None:
            said = f"{document.key} is given twice: first in line {first}"
            self._report(errors.Problem(said, "metadata.name", "", item.line, 1))
            return
        self._lines[document.key] = item.line
        self._located.append(Located(document, item.line, item.value))


def _parse(source: str, is_json: bool) -> Iterator[events.Event]:
    if is_json:
        return json_events.parse(source)
    # PyYAML takes 40 ms to import; a process that speaks JSON only never needs it.
    from reconciler.manifest import yaml_events

    return yaml_events.parse(source)


def _one(data: bytes, is_json: bool, max_bytes: int, max_nodes: int) -> Any:
    found: list[errors.Problem] = []
    try:
        trees = list(building.build(_parse(text.decode(data, max_bytes), is_json), found.append, max_nodes))
    except events.Broken as broken:
        found.append(broken.problem(""))
        trees = []
    if found:
        raise errors.Invalid(problems=found[:MAX_PROBLEMS])
    if len(trees) != 1:
        raise errors.Invalid("the body is empty" if not trees else f"expected one document, found {len(trees)}")
    return trees[0].value
