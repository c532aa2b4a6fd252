"""Payloads on their way out."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter

from purista_celery.errors import InvalidPayload
from purista_celery.producer.payload import dumped

NAN, INFINITY = float("nan"), float("inf")


class Reading(BaseModel):
    value: float | None = None
    more: Any = None


class Lenient(BaseModel):
    """Says itself how it writes what JSON has no numbers for."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    value: float
    note: str | None = None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Any, NAN),
        (Any, {"rows": [{"ratio": INFINITY}]}),
        (Any, ({"a": None}, -INFINITY)),
        (Reading, Reading(value=NAN)),
        (Reading, {"value": 1.5, "more": [NAN]}),
        (float | None, NAN),
        (Any, deque([NAN])),
        (deque[float | None], deque([1.0, INFINITY])),
    ],
)
def test_a_number_that_json_can_not_say_is_refused(kind: Any, value: Any) -> None:
    """It would arrive as null, and a job would be run with that."""
    with pytest.raises(InvalidPayload, match="expected finite ones, got NaN or an infinity"):
        dumped(TypeAdapter(kind), value, "Payload of 'q'", 1000)


def test_a_model_may_say_itself_how_it_writes_them() -> None:
    """What is read again as it was is no loss."""
    data = dumped(TypeAdapter(Lenient), Lenient(value=NAN), "Payload of 'q'", 1000)
    assert data == {"value": "NaN", "note": None}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def infinite(data: Any) -> bool:
    if isinstance(data, dict):
        return any(map(infinite, data.values()))
    if isinstance(data, list):
        return any(map(infinite, data))
    return data in (INFINITY, -INFINITY)


@given(json_values)
def test_what_json_can_say_leaves_as_it_is(value: Any) -> None:
    """Whatever its shape; and what it can not say does not leave at all."""
    if infinite(value):
        with pytest.raises(InvalidPayload):
            dumped(TypeAdapter(Any), value, "Payload of 'q'", 100_000)
    else:
        assert dumped(TypeAdapter(Any), value, "Payload of 'q'", 100_000) == value
