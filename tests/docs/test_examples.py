"""The recorded examples of the REST reference are current, and show every operation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from account_api.http.openapi import document
from account_api.routes import ROUTES
from tests.docs.examples import differs, kept, merged, record, shape, signature


def test_an_application_still_answers_in_the_shape_of_the_examples(tmp_path: Path) -> None:
    now = record(tmp_path)
    was = kept()
    assert now.keys() == was.keys(), "run: make documents"
    for name, examples in was.items():
        for old, new in zip(examples, now[name], strict=True):
            found = differs(shape(old), shape(new), name)
            assert not found, f"{found}; run: make documents"
            assert old["response"]["status"] == new["response"]["status"], name


def test_every_operation_has_an_example_of_success() -> None:
    found = kept()
    for route in ROUTES:
        statuses = [one["response"]["status"] for one in found[route.name]]
        assert statuses and statuses[0] < 300, route.name
    assert sum(len(one) for one in found.values()) > len(ROUTES)


def test_the_signatures_shown_are_those_of_what_is_shown() -> None:
    signed = 0
    for examples in kept().values():
        for example in examples:
            headers = example["request"]["headers"]
            again = signature(example["request"])
            assert {name: headers[name] for name in again} == again, example["title"]
            signed += bool(again)
    assert signed > 20


def test_the_openapi_document_has_them_as_examples_of_its_media_types() -> None:
    operations = {
        one["operationId"]: one
        for path in document(ROUTES)["paths"].values() for one in path.values()
    }  # fmt: skip
    for name, examples in kept().items():
        operation = operations[name]
        for example in examples:
            status = str(example["response"]["status"])
            (content,) = operation["responses"][status]["content"].values()
            assert example["response"]["body"] in [
                one["value"] for one in content["examples"].values()
            ], name
        for one in operation["parameters"]:
            if one["in"] == "path":
                assert one["example"] in examples[0]["request"]["target"], name
        if "requestBody" in operation:
            (content,) = operation["requestBody"]["content"].values()
            assert content["examples"], name


@pytest.mark.parametrize(
    "was, now, found",
    [
        ({"a": 1}, {"a": 2}, ""),
        ({"a": 1}, {"a": None}, ""),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}, {"b": 3}]}, ""),
        ({"a": 1}, {"b": 1}, ": ['a', 'b']"),
        ({"a": {"b": 1}}, {"a": {"b": "1"}}, ".a.b: int and str"),
        ([{"b": 1}], [{"b": 1, "c": 1}], "[]: ['c']"),
    ],
)
def test_a_difference_of_shape_is_found(was: Any, now: Any, found: str) -> None:
    assert differs(shape(was), shape(now)) == found


def test_items_of_a_list_are_one_shape() -> None:
    assert merged([{"a": "int"}, {"a": None, "b": "str"}]) == {"a": "int", "b": "str"}
