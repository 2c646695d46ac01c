"""Declarative apply by several managers, and RFC 7386."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.manifest import merge

KIND = "Container"


def spec(**fields: Any) -> merge.Document:
    return {"labels": {}, "annotations": {}, "spec": fields}


def apply(last: Any, live: Any, new: Any, *others: Any) -> Any:
    return merge.three_way(last, live, new, KIND, others)["spec"]


PORT = {"containerPort": 80, "hostPort": 8080}


@pytest.mark.parametrize(
    ("last", "live", "new", "after"),
    [
        # the first version of all
        (None, {}, {"image": "a"}, {"image": "a"}),
        # a key that the last version had and the new one lacks goes; what others set stays
        (
            {"image": "a", "user": "1"},
            {"image": "a", "user": "1", "hostname": "h"},
            {"image": "b"},
            {"image": "b", "hostname": "h"},
        ),
        # nested maps are shared field by field, and go when they are empty
        (
            {"resources": {"limits": {"cpu": "1", "pids": 5}}},
            {"resources": {"limits": {"cpu": "1", "pids": 5, "memory": "1Gi"}}},
            {"resources": {"limits": {"pids": 6}}},
            {"resources": {"limits": {"pids": 6, "memory": "1Gi"}}},
        ),
        (
            {"resources": {"limits": {"cpu": "1"}}},
            {"image": "a", "resources": {"limits": {"cpu": "1"}}},
            {},
            {"image": "a"},
        ),
        # entries of lists with merge keys are told apart
        (
            {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            {"env": [{"name": "A", "value": "1"}, {"name": "X", "value": "x"}, {"name": "B", "value": "2"}]},
            {"env": [{"name": "B", "value": "3"}, {"name": "C"}]},
            {"env": [{"name": "X", "value": "x"}, {"name": "B", "value": "3"}, {"name": "C"}]},
        ),
        # a merge key's default counts as given
        (
            {"ports": [PORT, {**PORT, "protocol": "UDP"}]},
            {"ports": [PORT, {**PORT, "protocol": "UDP"}]},
            {"ports": [{**PORT, "containerPort": 81, "protocol": "TCP"}]},
            {"ports": [{**PORT, "containerPort": 81, "protocol": "TCP"}]},
        ),
        # a field of an entry goes without the entry
        (
            {"env": [{"name": "A", "value": "1"}]},
            {"env": [{"name": "A", "value": "1"}]},
            {"env": [{"name": "A"}]},
            {"env": [{"name": "A"}]},
        ),
        # lists without merge keys are one value
        ({"args": ["a", "b"]}, {"args": ["a", "b"]}, {"args": ["b"]}, {"args": ["b"]}),
        ({"args": ["a"]}, {"args": ["a"]}, {}, {}),
        # the order of a list that is one manager's alone follows the manager
        (
            {"networks": [{"name": "a"}, {"name": "b"}]},
            {"networks": [{"name": "a"}, {"name": "b"}]},
            {"networks": [{"name": "b"}, {"name": "a"}]},
            {"networks": [{"name": "b"}, {"name": "a"}]},
        ),
        # null and emptiness are values of their own
        (
            {"mounts": [{"mountPath": "/a", "tmpfs": {}}]},
            {"mounts": [{"mountPath": "/a", "tmpfs": {}}]},
            {"image": "a"},
            {"image": "a"},
        ),
    ],
)
def test_three_way(last: Any, live: Any, new: Any, after: Any) -> None:
    before = copy.deepcopy((last, live, new))
    assert apply(last and spec(**last), spec(**live), spec(**new)) == after
    assert (last, live, new) == before


def test_labels_and_annotations_are_merged_too() -> None:
    last = {"labels": {"a": "1", "b": "1"}, "annotations": {"x/y": "1"}, "spec": {}}
    live = {"labels": {"a": "1", "b": "1", "c": "1"}, "annotations": {"x/y": "1"}, "spec": {}}
    new = {"labels": {"a": "2"}, "annotations": {}, "spec": {}}
    assert merge.three_way(last, live, new, KIND) == {"labels": {"a": "2", "c": "1"}, "annotations": {}, "spec": {}}


def test_what_another_manager_applied_too_stays() -> None:
    mine = spec(env=[{"name": "A", "value": "1"}, {"name": "B"}], user="1")
    theirs = spec(env=[{"name": "A"}], user="1")
    assert apply(mine, mine, spec(), theirs) == {"env": [{"name": "A"}], "user": "1"}


def test_clashes_name_field_and_manager() -> None:
    live = spec(image="a", env=[{"name": "A", "value": "1"}], ports=[PORT], args=["a"])
    new = spec(image="a", env=[{"name": "A", "value": "2"}], ports=[{**PORT, "containerPort": 1}], args=["b"])
    others = {"kubectl": live, "ci": spec(args=["a"])}
    assert [str(clash.path) + " " + clash.manager for clash in merge.clashes(new, live, others, KIND)] == [
        "spec.args ci",
        "spec.env[name=A].value kubectl",
        "spec.ports[hostPort=8080,protocol=TCP,hostIP=0.0.0.0].containerPort kubectl",
        "spec.args kubectl",
    ]
    assert merge.clashes(live, live, others, KIND) == []
    assert merge.clashes(new, live, {"nobody": spec()}, KIND) == []


def test_force_leaves_a_manager_what_was_not_taken() -> None:
    theirs = spec(image="a", env=[{"name": "A", "value": "1"}, {"name": "B"}], user="1")
    taken = spec(image="b", env=[{"name": "A", "value": "2"}], user="1")
    assert merge.without(theirs, taken, KIND)["spec"] == {"env": [{"name": "A"}, {"name": "B"}], "user": "1"}


@pytest.mark.parametrize(
    ("live", "patch", "after"),
    [  # the examples of RFC 7386, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(live: Any, patch: Any, after: Any) -> None:
    before = copy.deepcopy((live, patch))
    assert merge.merge_patch(live, patch) == after
    assert (live, patch) == before


names = st.sampled_from(["a", "b", "c"])
text = st.sampled_from(["1", "2"])


def listed(name: str, **fields: Any) -> st.SearchStrategy[list[dict[str, Any]]]:
    entry = st.fixed_dictionaries({name: names}, optional=fields)
    return st.lists(entry, max_size=3, min_size=1, unique_by=lambda each: each[name])


documents = st.fixed_dictionaries(
    {
        "labels": st.dictionaries(names, text, max_size=2),
        "annotations": st.just({}),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "image": text,
                "args": st.lists(text, max_size=2),
                "env": listed("name", value=text),
                "mounts": listed("mountPath", readOnly=st.booleans()),
                "resources": st.fixed_dictionaries(
                    {"limits": st.dictionaries(st.sampled_from(["cpu", "memory"]), text, min_size=1)}
                ),
            },
        ),
    }
)


@settings(max_examples=300, deadline=None)
@given(documents, documents, documents)
def test_apply_is_idempotent_and_its_fields_are_live(mine: Any, live: Any, new: Any) -> None:
    once = merge.three_way(mine, live, new, KIND)
    assert merge.three_way(new, once, new, KIND) == once
    present = merge.fields(once, KIND)
    assert all(present[path] == value for path, value in merge.fields(new, KIND).items())
    assert merge.clashes(new, once, {"other": live}, KIND) == []


@settings(max_examples=300, deadline=None)
@given(documents, documents)
def test_two_managers_who_agree_do_not_disturb_each_other(one: Any, two: Any) -> None:
    live = merge.three_way(None, merge.three_way(None, spec(), one, KIND), two, KIND, [one])
    one = merge.without(one, two, KIND)
    again = merge.three_way(one, live, one, KIND, [two])
    assert merge.three_way(two, again, two, KIND, [one]) == again == live


@settings(max_examples=300, deadline=None)
@given(documents, documents)
def test_taking_everything_back_leaves_what_others_applied(one: Any, two: Any) -> None:
    live = merge.three_way(None, merge.three_way(None, spec(), one, KIND), two, KIND, [one])
    alone = merge.three_way(merge.without(one, two, KIND), live, spec(), KIND, [two])
    kept = merge.fields(alone, KIND)
    assert all(kept[path] == value for path, value in merge.fields(two, KIND).items())


def mounted(path: str, **more: Any) -> dict[str, Any]:
    return {"mountPath": path, "tmpfs": more}


def test_entries_are_one_by_the_meaning_of_their_keys() -> None:
    """Else two managers would mount the same path twice."""
    live = spec(mounts=[mounted("/a"), mounted("/b")])
    new = spec(mounts=[mounted("/b//", sizeLimit="1Mi")])
    assert merge.three_way(None, live, new, KIND)["spec"]["mounts"] == [mounted("/a"), mounted("/b//", sizeLimit="1Mi")]
    last = spec(mounts=[mounted("/a/.")])
    assert merge.three_way(last, live, spec(), KIND)["spec"]["mounts"] == [mounted("/b")]


@pytest.mark.parametrize(
    ("theirs", "same", "other"),
    [
        ({"workingDir": "/x"}, {"workingDir": "/x/"}, {"workingDir": "/y"}),
        ({"stopSignal": "SIGTERM"}, {"stopSignal": 15}, {"stopSignal": 14}),
        ({"image": "nginx"}, {"image": "docker.io/library/nginx:latest"}, {"image": "nginx:1"}),
        ({"mounts": [mounted("/x", sizeLimit="1Mi")]}, {"mounts": [mounted("/x/", sizeLimit=1048576)]}, None),
        (
            {"securityContext": {"capabilities": {"drop": ["KILL", "CHOWN"]}}},
            {"securityContext": {"capabilities": {"drop": ["CHOWN", "KILL"]}}},
            {"securityContext": {"capabilities": {"drop": ["CHOWN"]}}},
        ),
    ],
)
def test_another_spelling_is_no_clash(theirs: dict[str, Any], same: dict[str, Any], other: dict[str, Any]) -> None:
    live, others = spec(**theirs), {"other": spec(**theirs)}
    assert merge.clashes(spec(**same), live, others, KIND) == []
    assert merge.without(live, spec(**same), KIND) == live
    if other:
        assert merge.clashes(spec(**other), live, others, KIND) != []
        assert merge.without(live, spec(**other), KIND)["spec"] == {}
