"""Types from JSON Schema: the schema judges, the model gives shape."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from purista_celery.contracts.foreign.schema_type import type_of


def adapter(schema: Any) -> TypeAdapter[Any]:
    return TypeAdapter(type_of("Queue 'q'", schema, "the.model"))


def test_an_object_is_a_model_with_attributes() -> None:
    """Nested ones and lists of them too; what else there is stays as JSON has it."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "id": {"type": "integer", "minimum": 1},
            "home": {"$ref": "#/$defs/Address", "description": "Where to send it"},
            "others": {"type": "array", "items": {"$ref": "#/$defs/Address"}},
            "work": {"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}]},
            "tags": {"type": "array", "items": {"type": "string"}},
            "size": {"type": "string", "default": "M"},
        },
        "required": ["id", "home"],
        "additionalProperties": False,
        "$defs": {
            "Address": {
                "type": "object",
                "properties": {"zip": {"type": "string", "pattern": r"^\p{Nd}{5}$"}},
                "required": ["zip"],
            }
        },
    }
    given_value = {"id": 1, "home": {"zip": "12345"}, "others": [{"zip": "00000"}], "work": None}
    value = adapter(schema).validate_python(given_value)
    assert type(value).__name__ == "TheModel"
    assert (value.home.zip, value.others[0].zip, value.work) == ("12345", "00000", None)
    assert (value.size, value.tags) == ("M", None)
    # What was absent stays absent, and null stays null.
    assert adapter(schema).dump_python(value, mode="json", by_alias=True) == given_value
    for wrong in ({**given_value, "id": 0}, {**given_value, "x": 1}, {"id": 1, "home": {"zip": 1}}):
        with pytest.raises(ValidationError):
            adapter(schema).validate_python(wrong)


def test_properties_alone_do_not_make_an_object() -> None:
    """JSON Schema asks nothing of a text by its properties, and so neither do we."""
    found = adapter({"properties": {"a": {"type": "integer"}}})
    assert found.validate_python("text") == "text"
    with pytest.raises(ValidationError):
        found.validate_python({"a": "text"})


def test_errors_do_not_show_values() -> None:
    """They may be secret; they say where and why."""
    schema = {"type": "object", "properties": {"card": {"type": "string", "maxLength": 4}}}
    with pytest.raises(ValidationError) as caught:
        adapter(schema).validate_python({"card": "4111-1111"})
    (problem,) = caught.value.errors(include_input=False)
    assert "card: the value is longer than 4" in problem["msg"]
    assert "4111" not in problem["msg"]


def test_python_values_are_taken_as_json_has_them() -> None:
    """A handler of ours may pass an instant where the schema wants its text."""
    schema = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}
    value = adapter(schema).validate_python({"at": datetime(2026, 1, 1, tzinfo=UTC)})
    assert value.at == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "name", ["class", "a-b", "1st", "_hidden", "model_dump", "schema", "$ref", "ä", "shown", "copy"]
)
def test_any_name_of_a_property_can_be_read(name: str) -> None:
    """By an attribute that Python allows; on the wire it keeps its name."""
    kind = type_of("q", {"type": "object", "properties": {name: {}}, "required": [name]}, "m")
    (attribute,) = kind.model_fields
    value = TypeAdapter(kind).validate_python({name: 5})
    assert getattr(value, attribute) == 5
    assert TypeAdapter(kind).dump_python(value, mode="json", by_alias=True) == {name: 5}


def test_names_that_become_the_same_attribute_are_told_apart() -> None:
    """Both are there."""
    schema = {"type": "object", "properties": {"a-b": {}, "a_b": {}}}
    value = adapter(schema).validate_python({"a-b": 1, "a_b": 2})
    assert [getattr(value, name) for name in type(value).model_fields] == [1, 2]


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"type": "array", "items": {"type": "integer"}}, [1], ["a"]),
        ({"enum": ["a", "b"]}, "b", "c"),
        ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, None, "x"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": "b"}),
        (True, {"any": "thing"}, None),
        (None, "anything", None),
        ({"type": "null"}, None, 0),
        ({"type": "string", "format": "date-time"}, "an annotation, by draft 2020-12", 5),
    ],
)
def test_other_schemas_validate_plain_values(schema: Any, right: Any, wrong: Any) -> None:
    """Dictionaries, lists and scalars stay what they are."""
    assert adapter(schema).validate_python(right) == right
    if wrong is not None:
        with pytest.raises(ValidationError):
            adapter(schema).validate_python(wrong)


def test_a_recursive_schema_validates_to_any_depth() -> None:
    """Though documents show the first levels only."""
    node: dict[str, Any] = {
        "type": "object",
        "properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/Node"}},
        "required": ["value"],
    }
    found = adapter({"$defs": {"Node": node}, "$ref": "#/$defs/Node"})
    deep = {"value": 1, "next": {"value": 2, "next": {"value": 3}}}
    assert found.dump_python(found.validate_python(deep), mode="json", by_alias=True) == deep
    with pytest.raises(ValidationError):
        found.validate_python({"value": 1, "next": {"value": 2, "next": {"value": "3"}}})
    assert "$ref" not in str(found.json_schema())


def test_a_document_shows_the_schema_as_it_was_declared() -> None:
    """However often it is asked."""
    schema = {"type": "object", "properties": {"a": {"type": "string", "minLength": 2}}}
    found = adapter(schema)
    for _ in range(2):
        assert found.json_schema() == {"title": "TheModel", **schema}


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def _schema_of(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        properties = {name: _schema_of(part) for name, part in value.items()}
        return {"type": "object", "properties": properties, "required": list(value)}
    if isinstance(value, list):
        return {"type": "array", "items": _schema_of(value[0])} if len(value) == 1 else {}
    return {}


@settings(max_examples=100, deadline=None)
@given(value=st.dictionaries(st.text(max_size=6), json_values, max_size=4))
def test_any_json_object_goes_through_unchanged(value: dict[str, Any]) -> None:
    """Whatever its names are: a schema of its shape takes it and gives it back."""
    found = adapter(_schema_of(value))
    assert found.dump_python(found.validate_python(value), mode="json", by_alias=True) == value
