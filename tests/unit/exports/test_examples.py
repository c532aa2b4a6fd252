"""Examples of schemas: made to fit, whatever pydantic's types say."""

from __future__ import annotations

from typing import Annotated, Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter

from purista_celery.contracts.json_schema import rewritten
from purista_celery.exports.examples import NoExample, example
from purista_celery.exports.schemas import draft_7


def fits(schema: dict[str, Any]) -> Any:
    """Return the example of a schema, which another look at the schema has accepted."""
    value = example(schema, {})
    jsonschema_rs.Draft7Validator(schema, validate_formats=True).validate(value)
    return value


bounds = st.integers(-1000, 1000)


@given(least=bounds, span=st.integers(1, 50), step=st.sampled_from([None, 1, 2, 5, 7]))
def test_bounds_of_numbers_are_kept(least: int, span: int, step: int | None) -> None:
    """Inclusive or not, with steps, where a multiple lies between them."""
    step_of = {} if step is None else {"multipleOf": step}
    inclusive = {"type": "integer", "minimum": least, "maximum": least + span + 7, **step_of}
    assert least <= fits(inclusive) <= least + span + 7
    exclusive = {
        "type": "number",
        "exclusiveMinimum": least,
        "exclusiveMaximum": least + span + 7,
        **step_of,
    }
    assert least < fits(exclusive) < least + span + 7
    assert fits({"type": "integer", "maximum": least}) <= least
    assert fits({"type": "number", "exclusiveMaximum": least}) < least


@given(least=st.integers(0, 40), span=st.integers(0, 5))
def test_lengths_of_texts_and_arrays_are_kept(least: int, span: int) -> None:
    """Down to none, up to far more than a usual example has."""
    assert least <= len(fits({"type": "string", "minLength": least}))
    assert len(fits({"type": "string", "maxLength": span})) <= span
    array = {"type": "array", "items": {"type": "integer"}, "minItems": least}
    assert len(fits(array)) == least


@pytest.mark.parametrize(
    "pattern", [r"^\d{4}-(0[1-9]|1[0-2])$", r"^[A-Z]{3}$", r"^[a-f0-9]{64}$", r"^(ab|cd)+x?[^z]$"]
)
def test_a_pattern_is_matched(pattern: str) -> None:
    """And the same schema has the same example."""
    assert fits({"type": "string", "pattern": pattern}) == fits(
        {"type": "string", "pattern": pattern}
    )


leaves = st.sampled_from(
    [
        int,
        str,
        bool,
        float,
        None,
        bytes,
        Annotated[int, Field(gt=3, lt=5)],
        Annotated[str, Field(min_length=3, max_length=3)],
        dict[str, int],
    ]
)
types = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda kind: list[kind]),  # type: ignore[valid-type]
        inner.map(lambda kind: dict[str, kind]),  # type: ignore[valid-type]
        st.tuples(inner, inner).map(lambda kinds: tuple[kinds]),  # type: ignore[valid-type]
        st.tuples(inner, inner).map(lambda kinds: kinds[0] | kinds[1] if kinds[0] else kinds[1]),
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(kind=types)
def test_any_type_of_pydantic_has_an_example_that_it_accepts(kind: Any) -> None:
    """Judged by the schema, and by pydantic itself."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    schema = rewritten(adapter.json_schema(), draft_7)
    adapter.validate_python(fits(schema))


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"not": {}},
        {"type": "string", "pattern": "^a$", "minLength": 5},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "string", "pattern": r"^\p{L}{9}$"},  # ECMAScript's, which Python can not read
    ],
)
def test_where_none_is_found_that_is_said(schema: Any) -> None:
    """A wrong example would be worse than none."""
    with pytest.raises(NoExample):
        example({"allOf": [schema]}, {})


def test_an_endless_schema_ends() -> None:
    """One that requires itself has no value at all."""
    named = {"Loop": {"type": "object", "required": ["loop"], "properties": {"loop": {}}}}
    named["Loop"]["properties"] = {"loop": {"$ref": "#/components/schemas/Loop"}}
    with pytest.raises(NoExample):
        example({"$ref": "#/components/schemas/Loop"}, named)
