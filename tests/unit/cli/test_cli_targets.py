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
        (["container/default/redis", "net/b/front"], [T(CONTAINER, "redis", "default"), T(NETWORK, "front", "b")]),
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
        ([""], "Expected a KIND"),
        (["co", ""], "The name of the container is empty"),
        (["co", "redis/log"], "'redis/log' is not a name"),
        (["co", "redis/log"], "KIND/NAME and container NAME cannot be mixed"),
        (["co/a/b/c"], "'a/b/c' is not a name"),
        (["co/a/"], "The name of the container is empty"),
        (["co/../redis"], "'..' is not a name"),
        (["co", "redis?x"], "'redis?x' is not a name"),
        (["co", "redis%2Flog"], "'redis%2Flog' is not a name"),
        (["co", ".."], "'..' is not a name"),
        (["co", "redis\n"], "is not a name"),
        (["images", "docker.io/library/nginx:1"], "'pydock image inspect' takes a reference"),
        (["image/docker.io/library/nginx:1"], "'pydock image inspect' takes a reference"),
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


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["web"], [T(CONTAINER, "web")]),
        (["container/web", "db"], [T(CONTAINER, "web"), T(CONTAINER, "db")]),
        (["container/default/web"], [T(CONTAINER, "web", "default")]),
        (["co", "redis"], [T(CONTAINER, "redis")]),
        (["containers", "redis", "web"], [T(CONTAINER, "redis"), T(CONTAINER, "web")]),
        (["co"], [T(CONTAINER, "co")]),
        (["web", "co"], [T(CONTAINER, "web"), T(CONTAINER, "co")]),
    ],
)
def test_containers_with_and_without_their_kind(words: list[str], expected: list[targets.Target]) -> None:
    assert targets.containers(words) == expected


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["image/nginx"], "is not a container"),
        (["image", "nginx"], "'image' is a kind, and only containers can be named here: write container/image"),
        (["default/redis"], "unknown kind 'default'"),
        (["co", "redis/log"], "'redis/log' is not a name"),
        ([""], "The name of the container is empty"),
    ],
)
def test_what_is_no_container_is_refused(words: list[str], says: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        targets.containers(words)
    assert says in caught.value.message


def test_one_container() -> None:
    assert targets.container(["co", "redis"]) == T(CONTAINER, "redis")
    with pytest.raises(click.UsageError, match="Expected one container, found 2"):
        targets.container(["a", "b"])
