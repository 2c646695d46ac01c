from __future__ import annotations

import click
import pytest

from reconciler.cli import targets
from reconciler.model.kinds import CONTAINER, IMAGE, NETWORK

T = targets.Target


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["containers"], [T(CONTAINER)]),
        (["ctr"], [T(CONTAINER)]),
        (["Container", "web", "db"], [T(CONTAINER, "web"), T(CONTAINER, "db")]),
        (["container/web", "img/nginx"], [T(CONTAINER, "web"), T(IMAGE, "nginx")]),
        (["containers,networks"], [T(CONTAINER), T(NETWORK)]),
        (["container,network", "web"], [T(CONTAINER, "web"), T(NETWORK, "web")]),
        (["all"], [T(CONTAINER), T(NETWORK), T(IMAGE)]),
        (["images", "docker.io/library/nginx:1"], [T(IMAGE, "docker.io/library/nginx:1")]),
        (["image/docker.io/library/nginx:1"], [T(IMAGE, "docker.io/library/nginx:1")]),
    ],
)
def test_what_words_name(words: list[str], expected: list[targets.Target]) -> None:
    assert targets.parse(words) == expected


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Expected a KIND"),
        (["pods"], "unknown kind 'pods': expected one of images, networks, containers."),
        (["container/web", "db"], "Expected KIND/NAME instead of 'db'"),
        (["container/"], "Expected KIND/NAME instead of 'container/'"),
        (["/web"], "Expected KIND/NAME instead of '/web'"),
    ],
)
def test_what_names_nothing_is_refused(words: list[str], says: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        targets.parse(words)
    assert says in caught.value.message


def test_a_name_may_be_demanded() -> None:
    assert targets.named(["container/web"]) == [T(CONTAINER, "web")]
    with pytest.raises(click.UsageError, match="names no object"):
        targets.named(["containers"])


def test_containers_by_name_alone() -> None:
    assert targets.container("web") == targets.container("container/web") == "web"
    with pytest.raises(click.UsageError, match="is not a container"):
        targets.container("image/nginx")
