"""Instructions of a Dockerfile, as ``--change`` takes them."""

from __future__ import annotations

from typing import Any

import click
import pytest

from reconciler.cli import changing


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], {}),
        (['CMD ["a", "b c"]'], {"cmd": ["a", "b c"]}),
        (["cmd echo $HOME"], {"cmd": ["/bin/sh", "-c", "echo $HOME"]}),
        (["ENTRYPOINT []"], {"entrypoint": []}),
        (["ENV A=1 B='two words'", "ENV A=3"], {"env": ["A=3", "B=two words"]}),
        (["ENV A two words"], {"env": ["A=two words"]}),
        (["LABEL a=1", 'LABEL b="x y"'], {"labels": {"a": "1", "b": "x y"}}),
        (["USER 1:2", "WORKDIR /x y", "STOPSIGNAL SIGINT"], {"user": "1:2", "workingDir": "/x y",
                                                             "stopSignal": "SIGINT"}),
        (["USER one", "USER two"], {"user": "two"}),
    ],
)  # fmt: skip
def test_what_they_set(changes: list[str], expected: dict[str, Any]) -> None:
    assert changing.config(changes) == expected


@pytest.mark.parametrize(
    "change", ["", "CMD", "RUN rm -rf /", "FROM x", "CMD [1]", "CMD [", "ENV", "ENV A", "LABEL a=1 b", "ENV A='"]
)
def test_what_is_refused(change: str) -> None:
    with pytest.raises(click.UsageError, match="--change"):
        changing.config([change])
