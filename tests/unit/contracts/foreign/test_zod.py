"""Validators of zod in definitions: what is left of them is read, and refuses nothing valid."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from purista_celery.contracts.foreign.zod import is_zod, json_schema


def zod(kind: str, **tree: Any) -> dict[str, Any]:
    return {"def": {"type": kind, **tree}, "type": kind}


TEXT = zod("string")


@pytest.mark.parametrize(
    ("validator", "right", "wrong"),
    [
        (TEXT, "a", 1),
        ({**TEXT, "minLength": 2, "maxLength": None}, "ab", "a"),
        (zod("string", format="uuid"), "text", 1),
        (zod("number"), 1.5, "1"),
        ({**zod("number"), "isInt": True, "minValue": -(2**53) + 1, "maxValue": 9}, 9, 9.5),
        (zod("number", checks=[{"def": {"format": "int32"}}, {}]), 5, 5.5),
        (zod("boolean"), True, "yes"),
        (zod("null"), None, 0),
        (zod("literal", values=["a", 1]), 1, "b"),
        (zod("enum", entries={"A": "a"}), "a", "A"),
        (zod("array", element=TEXT), ["a"], [1]),
        (zod("tuple", items=[TEXT], rest=None), ["a"], ["a", "b"]),
        (zod("tuple", items=[TEXT], rest=TEXT), ["a", "b"], ["a", 1]),
        (zod("record", keyType=TEXT, valueType=zod("number")), {"a": 1}, {"a": "b"}),
        (zod("union", options=[TEXT, zod("number")]), 1, None),
        (zod("nullable", innerType=TEXT), None, 1),
        (zod("readonly", innerType=TEXT), "a", 1),
        (zod("pipe", **{"in": TEXT, "out": zod("number")}), "a", 1),
        (zod("intersection", left=zod("any"), right=TEXT), "a", 1),
        (zod("object", shape={"a": TEXT, "b": zod("optional", innerType=TEXT)}), {"a": ""}, {}),
        (zod("object", shape={"a": zod("default", innerType=TEXT)}), {}, {"a": 1}),
        (zod("object", shape={}, catchall=zod("never")), {}, {"more": 1}),
        (zod("object", shape={}, catchall=TEXT), {"more": "a"}, {"more": 1}),
    ],
)
def test_what_is_left_of_a_validator_is_kept(validator: Any, right: Any, wrong: Any) -> None:
    """Types, names, alternatives; of checks only the bounds."""
    assert is_zod(validator)
    found = jsonschema_rs.validator_for(json_schema(validator))
    assert found.is_valid(right)
    assert not found.is_valid(wrong)


@pytest.mark.parametrize("kind", ["any", "unknown", "custom", "lazy", "transform", "map", "newer"])
def test_what_has_no_form_in_json_schema_is_anything(kind: str) -> None:
    """A payload that TypeScript accepts is never refused."""
    assert json_schema(zod(kind)) == {}


@pytest.mark.parametrize("schema", [{"type": "object"}, {"def": 1}, {"def": {}}, True, None])
def test_a_json_schema_is_no_validator_of_zod(schema: Any) -> None:
    """It has a type, but no tree."""
    assert not is_zod(schema)
