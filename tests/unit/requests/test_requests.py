"""The declarations: each is whole, and everything that is made from them agrees."""

from __future__ import annotations

import inspect
import re

import msgspec
import pytest

from reconciler.api.fronts.native import openapi
from reconciler.client.calls import CALLS
from reconciler.jobs import table as jobs
from reconciler.model import kinds, objects, plan
from reconciler.requests import table
from reconciler.requests.declaration import Ask, Request, fields, routes

ASKS = list(table.ASKS.values())
VERBS = {"get", "list", "watch", "create", "update", "patch", "delete"}


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.name)
def test_a_declaration_is_whole(ask: Ask) -> None:
    assert ask.access.verb in VERBS
    assert ask.access.resource
    assert ask.summary, "its request says what it does"
    assert ask.summary[0].isupper()
    assert callable(jobs.handler(ask).run)
    known = {field.name for field in fields(ask)} | {"collection"}
    assert set(re.findall(r"{(\w+)}", ask.path)) - {"name"} <= known
    assert list(routes(ask))


def test_no_request_has_the_name_of_a_type_of_the_model() -> None:
    theirs = {name for module in (objects, plan) for name, _ in inspect.getmembers(module, inspect.isclass)}
    assert {ask.request.__name__ for ask in ASKS} & theirs == set()


def test_every_name_that_clients_use_is_used_once() -> None:
    for ask in ASKS:
        shown = [field.shown for field in fields(ask)]
        assert len(shown) == len(set(shown)), ask.name


def test_two_asks_at_one_place_are_told_apart_by_their_request() -> None:
    """Objects speak Kubernetes' protocol, in which a query or a media type decides."""
    places: dict[tuple[str, str], set[str]] = {}
    for ask in ASKS:
        for route in routes(ask):
            places.setdefault((route.method, route.path), set()).add(ask.name)
    shared = {frozenset(names) for names in places.values() if len(names) > 1}
    assert shared == {frozenset({"list", "watch"}), frozenset({"apply", "patch"})}


def test_the_client_has_a_call_for_whatever_is_no_object() -> None:
    plain = {ask.name for ask in ASKS if any(route.kind is None for route in routes(ask)) and ask.reply != "health"}
    assert {name.partition("/")[0] for name in CALLS} == plain


def test_the_client_refuses_an_argument_that_is_not_there() -> None:
    with pytest.raises(TypeError, match="no argument colour"):
        CALLS["events"].target({"colour": "red"})


def test_the_document_has_every_route_and_access() -> None:
    document = openapi.document()
    for ask in ASKS:
        for route in routes(ask):
            operation = document["paths"][route.path][route.method.lower()]
            assert ask.name in operation["x-pydock-jobs"]
            assert {each["name"] for each in operation["parameters"] if each["in"] == "path"} == set(
                re.findall(r"{(\w+)}", route.path)
            )
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    assert "$ref" not in msgspec.json.encode(document).decode()


def test_the_body_of_a_search_in_the_document() -> None:
    operation = openapi.document()["paths"][f"/apis/{kinds.API_VERSION}/search"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["registry", "term"]
    assert schema["properties"]["limit"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 25}
    assert schema["additionalProperties"] is False


def test_names_declared_twice_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "SUBJECTS", ("records", "records"))
    with pytest.raises(ValueError, match="events is declared twice"):
        table._declared()


class Step(Request, frozen=True):
    """Nothing that the API may ask for."""
