"""What is said about wrong data: which field and why, never the data itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, Json, TypeAdapter, ValidationError
from pydantic.networks import AnyUrl

from purista_celery.messages.wire import explain, quotable

SECRET = "hunter2-hunter2"


class Colour(Enum):
    RED = "red"


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Strict(BaseModel, extra="forbid"):
    a: int


class Text(BaseModel):
    a: Annotated[str, Field(max_length=3)]


class Pattern(BaseModel):
    a: Annotated[str, Field(pattern="^[0-9]+$")]


TYPES: list[Any] = [
    *(int, float, bool, Decimal, date, datetime, time, timedelta, UUID, IPv4Address, AnyUrl),
    *(Colour, Literal["red"], Json[int], int | float, None, list[int], dict[str, int]),
    *(Text, Pattern, Cat, Cat | Dog),
]


def failure(kind: Any, value: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    return caught.value


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize(
    "shaped",
    [lambda v: v, lambda v: {"a": v, "kind": v}, lambda v: [v]],
    ids=["alone", "field", "item"],
)
def test_no_value_is_shown(kind: Any, shaped: Callable[[str], Any]) -> None:
    """Of any type, wherever it stands: messages end in logs, and values may be secret."""
    said = explain(failure(kind, shaped(SECRET)))
    assert said
    assert SECRET not in said


def test_the_tag_of_a_union_is_not_shown() -> None:
    """The types that are expected are."""
    kind = Annotated[Cat | Dog, Field(discriminator="kind")]
    said = explain(failure(kind, {"kind": SECRET}))
    assert said == "(all): Input tag should be one of 'cat', 'dog'"


def test_each_wrong_field_is_named_by_its_path() -> None:
    """With dots between, and all of them at once."""
    said = explain(failure(list[Strict], [{"a": SECRET}, {"a": 1, "b": SECRET}, {}]))
    assert said == (
        "0.a: Input should be a valid integer, unable to parse string as an integer; "
        "1.b: Extra inputs are not permitted; "
        "2.a: Field required"
    )


def test_a_value_that_is_wrong_as_a_whole_is_called_so() -> None:
    """It has no path."""
    assert explain(failure(int, [])) == "(all): Input should be a valid integer"


def _wrong(count: int) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[Cat]).validate_python([1] * count)
    return caught.value


@pytest.mark.parametrize("count", [21, 1_000, 100_000])
def test_many_wrong_values_are_said_in_few_words(count: int) -> None:
    """An error for each would be a thousand times what was sent: they are told by their number."""
    error = _wrong(count)
    said = explain(error)
    assert len(said) < 2_000
    assert str(count) in said or f"and {count - 20} more" in said
    assert quotable(error) is None


def test_few_wrong_values_are_all_said() -> None:
    """And their error is what a traceback may quote."""
    error = _wrong(20)
    assert explain(error).count(";") == 19
    assert quotable(error) is error


def test_a_place_is_not_as_long_as_its_sender_likes() -> None:
    """Where names in it come from outside."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, int]).validate_python({"x" * 10_000: "y"})
    assert len(explain(caught.value)) < 400
