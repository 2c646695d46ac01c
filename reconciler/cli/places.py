"""Where in a manifest's text a problem stands: what the server says of a field gets its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from reconciler import errors, manifest
from reconciler.cli import files
from reconciler.manifest import events, json_events, locating, yaml_events
from reconciler.manifest import text as decoding

_STEP = re.compile(r"""\.?([A-Za-z_][A-Za-z0-9_-]*)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]""")


def problems(text: files.Text) -> tuple[errors.Problem, ...]:
    """All that is wrong with a text by itself."""
    return manifest.load(text.data, text.name).problems


def of(text: files.Text, index: int, line: int, found: Sequence[errors.Problem]) -> list[errors.Problem]:
    """``found``, which name fields of one document of ``text``, with file, line and column.

    ``index`` counts the documents; when it is negative, only the document's first ``line`` is known.
    """
    paths = {problem.field: path(problem.field) for problem in found}
    spots = locating.find(_events(text), {index: list(paths.values())}).get(index, {}) if index >= 0 else {}
    return [_placed(problem, text.name, line, spots.get(paths[problem.field])) for problem in found]


def _events(text: files.Text) -> Iterator[events.Event]:
    source = decoding.decode(text.data)
    return json_events.parse(source) if text.name.endswith(".json") else yaml_events.parse(source)


def path(field: str) -> tuple[str | int, ...]:
    """The steps of ``spec.ports[0].hostPort``, as far as it can be read."""
    steps: list[str | int] = []
    at = 0
    while step := _STEP.match(field, at):
        steps.append(int(step[2]) if step[2] else step[1] or step[3])
        at = step.end()
    return tuple(steps)


def _placed(problem: errors.Problem, file: str, line: int, spot: locating.Spot | None) -> errors.Problem:
    if spot is None:
        return problem._replace(file=file, line=line)
    return problem._replace(file=file, line=spot.line, column=spot.column)
