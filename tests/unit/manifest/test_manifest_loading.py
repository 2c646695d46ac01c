"""Whole files: what they hold, and every problem with its place."""

from __future__ import annotations

import json
import textwrap

from reconciler import manifest
from reconciler.model.keys import Key

GOOD = """\
apiVersion: pydock.dev/v1
kind: Container
metadata:
  name: web
  namespace: shop
  labels: {app: web}
  annotations: {"example.org/note": "two\\nlines"}
spec:
  image: nginx:1.27
  env:
  - {name: A, value: "no"}
"""


def problems(text: str, file: str = "a.yaml") -> list[str]:
    return [str(problem) for problem in manifest.load(textwrap.dedent(text).encode(), file).problems]


def test_a_good_file_is_what_was_written() -> None:
    loaded = manifest.load(GOOD.encode(), "web.yaml")
    assert loaded.problems == ()
    (located,) = loaded.documents
    assert located.line == 1
    assert located.raw["kind"] == "Container"
    assert located.document.key == Key("Container", "shop", "web")
    assert located.document.labels == {"app": "web"}
    assert located.document.annotations == {"example.org/note": "two\nlines"}
    assert located.document.spec == {"image": "nginx:1.27", "env": [{"name": "A", "value": "no"}]}


def test_several_documents_have_their_lines_and_empty_ones_do_not_count() -> None:
    text = "---\n# nothing\n---\n" + GOOD + "---\n" + GOOD.replace("web", "api") + "---\n"
    loaded = manifest.load(text.encode(), "a.yml")
    assert [(each.document.key.name, each.line) for each in loaded.documents] == [("web", 3), ("api", 15)]


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert manifest.load(b"\xef\xbb\xbf" + GOOD.encode(), "a.yaml").problems == ()


def test_files_without_documents_are_empty_not_wrong() -> None:
    for text in ("", "\n\n", "# only a comment\n", "---\n", "---\n---\n", "\ufeff"):
        assert manifest.load(text.encode(), "a.yaml") == manifest.Loaded((), ())
    assert manifest.load(b" \n", "a.json") == manifest.Loaded((), ())


def test_a_list_holds_objects() -> None:
    item = {"apiVersion": "pydock.dev/v1", "kind": "Network", "metadata": {"name": "a"}}
    other = {**item, "metadata": {"name": "b"}, "spec": {"mtu": "x"}}
    text = json.dumps({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [item, other]}, indent=1)
    loaded = manifest.load(text.encode(), "a.json")
    assert [each.document.key.name for each in loaded.documents] == ["a"]
    (problem,) = loaded.problems
    assert problem.field == "items[1].spec.mtu"
    assert text.splitlines()[problem.line - 1].strip() == '"mtu": "x"'


def test_a_list_holds_nothing_else() -> None:
    assert problems("{kind: List, itms: []}") == ["a.yaml:1:1: a List has only items: itms is unknown"]
    assert problems("{kind: List, items: 5}") == ["a.yaml:1:1: items: expected a list"]


def test_all_problems_of_a_file_at_once_in_the_order_of_the_text() -> None:
    assert problems("""\
        apiVersion: pydock.dev/v1
        kind: Container
        metadata:
          name: Web
          labels: {a: no, on: x}
        spec:
          image: nginx
          comand: [a]
          livenessProbe: {}
          env:
          - name: X
            value: 22:22
          - name: Z
            value: 5
          ports:
          - containerPort: 80
            hostPort: "8080"
          - containerPort: 80
          resources: {limits: {cpu: abc, memory: 100m}}
          securityContext:
            capabilities: {add: [CAP_NET_ADMIN]}
        ---
        kind: Secret
        metadata: {name: a}
        """) == [
        "a.yaml:4:9: metadata.name: \"Web\" is not a DNS label: 1 to 63 of a-z, 0-9 and '-', "
        "starting and ending with a letter or digit",
        'a.yaml:5:19: metadata.labels.on: the key on is not read as text by every reader: write "on"',
        'a.yaml:5:15: metadata.labels.a: found no, which YAML takes for the boolean false: write "no" to mean the text',
        "a.yaml:8:3: spec.comand: unknown field; did you mean command?",
        "a.yaml:9:3: spec.livenessProbe: not yet supported",
        "a.yaml:12:12: spec.env[0].value: 22:22 is not clear: some readers take it for a number of base 60; "
        'write "22:22" to mean the text, or a plain decimal number',
        'a.yaml:14:12: spec.env[1].value: found 5, which YAML takes for the number 5: write "5" to mean the text',
        'a.yaml:17:15: spec.ports[0].hostPort: found the text "8080", expected a whole number',
        "a.yaml:18:5: spec.ports[1].hostPort: required, but not given",
        'a.yaml:19:29: spec.resources.limits.cpu: "abc" is not a quantity: a number with an optional suffix, '
        "such as 500m, 1.5, 64Mi or 2G",
        "a.yaml:19:42: spec.resources.limits.memory: '100m' means thousandths of a byte: "
        "write 100Mi or 100M for megabytes",
        'a.yaml:21:26: spec.securityContext.capabilities.add[0]: found "CAP_NET_ADMIN", expected one of the 42 known '
        "names, such as ALL, AUDIT_CONTROL, AUDIT_READ, AUDIT_WRITE; did you mean NET_ADMIN?",
        "a.yaml:23:1: apiVersion: required, but not given: write pydock.dev/v1",
        "a.yaml:23:7: kind: Secret is not yet supported",
    ]


def test_json_problems_have_places_too() -> None:
    text = """\
        {"apiVersion": "pydock.dev/v1", "kind": "Image",
         "metadata": {"name": "a", "namespace": "b"},
         "spec": {"reference": 5, "reference": "a b"}}
        """
    assert problems(text, "a.json") == [
        "a.json:2:28: metadata.namespace: Image is of host scope: it has no namespace",
        "a.json:3:27: spec.reference: the key reference is given twice: first in line 3",
        'a.json:3:40: spec.reference: "a b" is not an image reference such as nginx, nginx:1.27, '
        "registry.example/team/app:tag or app@sha256:…",
    ]


def test_one_object_twice_in_a_file_names_both_places() -> None:
    assert problems(GOOD + "---\n" + GOOD) == [
        "a.yaml:12:1: metadata.name: container/shop/web is given twice: first in line 1"
    ]


def test_problems_are_bounded() -> None:
    text = "apiVersion: pydock.dev/v1\nkind: Container\nmetadata: {name: a}\nspec:\n  image: a\n  env:\n"
    found = problems(text + "  - {nam: x}\n" * 5000)
    assert len(found) == 101
    assert found[-1] == "a.yaml: there may be more problems: mend these first"


def test_documents_are_bounded() -> None:
    text = "".join(
        f"---\n{{apiVersion: pydock.dev/v1, kind: Network, metadata: {{name: n{i}}}}}\n" for i in range(2001)
    )
    assert problems(text) == ["a.yaml:4001:1: more than 2000 documents: split the file"]


def test_envelope_as_kubectl_reads_it_back_is_accepted_and_status_ignored() -> None:
    text = """\
        apiVersion: pydock.dev/v1
        kind: Network
        metadata:
          name: a
          namespace: default
          uid: 5c9e
          generation: 3
          resourceVersion: "17"
          creationTimestamp: "2026-01-01T00:00:00Z"
          finalizers: []
          managedFields: [{manager: kubectl}]
        spec: {mtu: 1400}
        status: {phase: Ready, anything: [1, 2.5, null]}
        """
    loaded = manifest.load(textwrap.dedent(text).encode(), "a.yaml")
    assert loaded.problems == ()
    assert loaded.documents[0].document.spec == {"mtu": 1400}


def test_kinds() -> None:
    assert problems("apiVersion: pydock.dev/v1\nkind: Containr\nmetadata: {name: a}\n") == [
        'a.yaml:2:7: kind: found "Containr", expected one of Image, Network, Container; did you mean Container?'
    ]
    assert problems("apiVersion: pydock.dev/v1\nmetadata: {name: a}\n") == [
        "a.yaml:1:1: kind: required, but not given: expected one of Image, Network, Container"
    ]
    assert problems("- a\n") == ["a.yaml:1:1: found a list, expected a map with apiVersion, kind, metadata and spec"]
    assert problems("apiVersion: v1\nkind: Network\nmetadata: {name: a}\n") == [
        'a.yaml:1:13: apiVersion: found the text "v1", expected "pydock.dev/v1"'
    ]


def test_an_empty_field_is_no_value() -> None:
    assert problems("apiVersion: pydock.dev/v1\nkind: Image\nmetadata: {name: a}\nspec:\n  reference:\n") == [
        "a.yaml:5:13: spec.reference: found nothing (null), expected a text; leave the field out, or give it a value"
    ]
