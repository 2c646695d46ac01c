from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import errors
from reconciler.cli import jsonpath

OBJECT = {
    "metadata": {"name": "web", "labels": {"pydock.dev/tier": "front", "app": "web"}},
    "spec": {"ports": [{"hostPort": 80}, {"hostPort": 443, "hostIP": "127.0.0.1"}], "tty": True, "none": None},
    "items": [{"name": "a", "n": 1}, {"name": "b", "n": 2}, {"name": "c", "n": 3}],
    "status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Supervised", "status": "True"}]},
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{.metadata.name}", "web"),
        ("{ .metadata.name }", "web"),
        (".metadata.name", "web"),
        ("metadata.name", "web"),
        ("{$.metadata.name}", "web"),
        ("{@.metadata.name}", "web"),
        ("{['metadata']['name']}", "web"),
        ('{["metadata"].name}', "web"),
        ("name is {.metadata.name}!", "name is web!"),
        ("{.metadata.labels.pydock\\.dev/tier}", "front"),
        ("{.metadata.labels['pydock.dev/tier']}", "front"),
        ("{.spec.ports[0].hostPort}", "80"),
        ("{.spec.ports[-1].hostPort}", "443"),
        ("{.spec.ports[5].hostPort}", ""),
        ("{.spec.ports[*].hostPort}", "80 443"),
        ("{.spec.ports.*.hostPort}", "80 443"),
        ("{.metadata.labels.*}", "front web"),
        ("{.items[1:].name}", "b c"),
        ("{.items[:2].name}", "a b"),
        ("{.items[::2].name}", "a c"),
        ("{.items[-2:].name}", "b c"),
        ("{.spec.tty} {.spec.none}", "true null"),
        ("{.spec.ports[0]}", '{"hostPort":80}'),
        ("{.spec.absent.deep}", ""),
        ("{.metadata.name.deeper}", ""),
        ("{..hostPort}", "80 443"),
        ('{.status.conditions[?(@.type=="Ready")].status}', "False"),
        ("{.status.conditions[?(@.type=='Ready')].status}", "False"),
        ('{.status.conditions[?(@.type!="Ready")].type}', "Supervised"),
        ("{.items[?(@.n>1)].name}", "b c"),
        ("{.items[?(@.n<=1)].name}", "a"),
        ("{.items[?(@.n > true)].name}", "b c"),
        ("{.items[?(@.name>1)].name}", ""),
        ("{.spec.ports[?(@.hostIP)].hostPort}", "443"),
        ('{range .items[*]}{.name}={.n}{"\\n"}{end}', "a=1\nb=2\nc=3\n"),
        ("{range .items[*]}{.name},{end}", "a,b,c,"),
        ("{range .spec.ports[*]}[{.hostPort}{'\\t'}]{end}{.metadata.name}", "[80\t][443\t]web"),
        ("{range .absent[*]}x{end}", ""),
        ('{"{}"}', "{}"),
    ],
)
def test_templates(template: str, expected: str) -> None:
    assert jsonpath.render(template, OBJECT) == expected


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{.a", "a brace without its partner"),
        ("{.a}}", "a brace without its partner"),
        ("{range .items[*]}x", "a range without its {end}"),
        ("x{end}", "an {end} without its range"),
        ("{.a[x]}", "[x] is neither an index nor a slice nor a filter"),
        ("{.a[]}", "[] is neither an index nor a slice nor a filter"),
        ("{.a[1:2:0]}", "neither an index nor a slice"),
        ("{.a[1:2:3:4]}", "neither an index nor a slice"),
        ("{.a b}", "expected .FIELD or [INDEX] at ' b'"),
        ("{.items[?(@.n==x)]}", "x is neither a number nor a quoted text"),
        ('{"\\q"}', "is not a quoted text"),
    ],
)
def test_what_is_no_template_is_refused(template: str, says: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        jsonpath.render(template, OBJECT)
    assert says in caught.value.message


def test_find() -> None:
    assert jsonpath.find("{.spec.tty}", OBJECT) == [True]
    assert jsonpath.find(".spec.ports[*].hostPort", OBJECT) == [80, 443]


@given(st.text(alphabet="{}.[]()?@*:'\"\\ab1= <>!$range end", max_size=40))
def test_any_text_is_rendered_or_refused(template: str) -> None:
    with contextlib.suppress(errors.Invalid):
        assert isinstance(jsonpath.render(template, OBJECT), str)
