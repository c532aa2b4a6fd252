"""Models as teams write and change them, and what that means for either side."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from purista_celery.exports.diff.messages import message_changes


class Old(Enum):
    RED = "red"
    BLUE = "blue"


class More(Enum):
    RED = "red"
    BLUE = "blue"
    PINK = "pink"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class LoudDog(BaseModel):
    kind: Literal["dog"]
    name: str
    volume: int


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


def model(**fields: Any) -> type[BaseModel]:
    """Return a model whose fields are ``type`` or ``(type, default)``."""
    made = {n: f if isinstance(f, tuple) else (f, ...) for n, f in fields.items()}
    created: type[BaseModel] = create_model("Message", **made)
    return created


def bigger_tree() -> type[BaseModel]:
    """``Tree`` with another value; its reference leads back to itself under the same name."""

    class Tree(BaseModel):
        value: int | str
        children: list[Tree] = []

    Tree.model_rebuild(_types_namespace={"Tree": Tree})
    return Tree


class Shut(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int


class ShutWider(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int
    b: int = 0


Tagged = Annotated[Cat | Dog, Field(discriminator="kind")]
#: old, new, verdict for producers, verdict for consumers
PAIRS: list[tuple[Any, Any, str, str]] = [
    (model(a=int), model(a=int), "compatible", "compatible"),
    (model(), model(a=(int, 0)), "compatible", "compatible"),
    (model(), model(a=int), "breaking", "compatible"),
    (dict[str, Any], model(a=(int, 0)), "risky", "compatible"),
    (model(a=int), model(a=int, b=(int, 0)), "compatible", "compatible"),
    (model(a=int), model(a=int, b=(str | None, None)), "compatible", "compatible"),
    (model(a=int), model(a=int, b=str), "breaking", "compatible"),
    (model(a=int, b=str), model(a=int), "compatible", "breaking"),
    (model(a=int, b=(str, "")), model(a=int), "compatible", "risky"),
    (model(a=(int, 0)), model(a=int), "breaking", "compatible"),
    (model(a=int), model(a=(int, 0)), "compatible", "breaking"),
    (model(a=(int, 0)), model(a=(int, 1)), "risky", "risky"),
    # renamed
    (model(a=int), model(b=int), "breaking", "breaking"),
    (model(a=int), model(a=float), "compatible", "breaking"),
    (model(a=float), model(a=int), "breaking", "compatible"),
    (model(a=int), model(a=str), "breaking", "breaking"),
    (model(a=str), model(a=str | None), "compatible", "breaking"),
    (model(a=str | None), model(a=str), "breaking", "compatible"),
    (model(a=int | str), model(a=int), "breaking", "compatible"),
    (model(a=int), model(a=int | str), "compatible", "breaking"),
    (model(a=str), model(a=datetime), "breaking", "compatible"),
    (model(a=datetime), model(a=date), "breaking", "breaking"),
    (model(a=UUID), model(a=str), "compatible", "breaking"),
    (model(a=Decimal), model(a=Decimal), "compatible", "compatible"),
    (model(a=Old), model(a=More), "compatible", "breaking"),
    (model(a=More), model(a=Old), "breaking", "compatible"),
    # an enumeration says the same as literals
    (model(a=Old), model(a=Literal["blue", "red"]), "compatible", "compatible"),
    (model(a=str), model(a=Old), "breaking", "compatible"),
    (model(a=Annotated[int, Field(ge=0)]), model(a=int), "compatible", "breaking"),
    (
        model(a=Annotated[int, Field(ge=1)]),
        model(a=Annotated[int, Field(gt=0)]),
        "compatible",
        "compatible",
    ),
    (
        model(a=Annotated[float, Field(ge=1)]),
        model(a=Annotated[float, Field(gt=1)]),
        "breaking",
        "compatible",
    ),
    (
        model(a=Annotated[str, Field(max_length=9)]),
        model(a=Annotated[str, Field(max_length=8)]),
        "breaking",
        "compatible",
    ),
    (
        model(a=Annotated[int, Field(multiple_of=6)]),
        model(a=Annotated[int, Field(multiple_of=3)]),
        "compatible",
        "breaking",
    ),
    (model(a=list[int]), model(a=list[float]), "compatible", "breaking"),
    (model(a=list[int]), model(a=set[int]), "breaking", "compatible"),
    (
        model(a=Annotated[list[int], Field(max_length=3)]),
        model(a=tuple[int, int]),
        "breaking",
        "compatible",
    ),
    (model(a=tuple[int, str]), model(a=tuple[int, str, int]), "breaking", "breaking"),
    (model(a=dict[str, int]), model(a=dict[str, float]), "compatible", "breaking"),
    (model(a=model(x=int)), model(a=model(x=int, y=(int, 0))), "compatible", "compatible"),
    (model(a=list[Cat]), model(a=list[Cat | Dog]), "compatible", "breaking"),
    (
        model(a=Tagged),
        model(a=Annotated[Cat | LoudDog, Field(discriminator="kind")]),
        "breaking",
        "compatible",
    ),
    (model(a=Cat | Dog), model(a=Tagged), "compatible", "compatible"),
    (model(a=Tagged), model(a=Cat), "breaking", "compatible"),
    (Tree, Tree, "compatible", "compatible"),
    (Tree, bigger_tree(), "compatible", "breaking"),
    (Shut, ShutWider, "compatible", "breaking"),
    (ShutWider, Shut, "breaking", "risky"),
    (Shut, model(a=int), "compatible", "compatible"),
    (model(a=int), Any, "compatible", "breaking"),
    (Any, model(a=int), "breaking", "compatible"),
    (
        model(a=Annotated[int, Field(description="old")]),
        model(a=Annotated[int, Field(description="new", title="A")]),
        "compatible",
        "compatible",
    ),
]


@pytest.mark.parametrize(("old", "new", "producers", "consumers"), PAIRS)
def test_a_change_of_a_model_is_judged_for_both_sides(
    old: Any, new: Any, producers: str, consumers: str
) -> None:
    """By the schemas that Pydantic writes for it."""
    schemas = [TypeAdapter(each).json_schema() for each in (old, new)]
    changes = [*message_changes("queue", "payload", *schemas)]
    worst = [
        max((getattr(each.rule, side) for each in changes), default=0)
        for side in ("producers", "consumers")
    ]
    words = ["compatible", "risky", "breaking"]
    assert [words[each] for each in worst] == [producers, consumers], changes


def test_a_field_that_is_always_sent_but_has_a_default_may_be_missing() -> None:
    """Schemas of what is sent call it required; a reader fills it in."""

    class Sent(BaseModel):
        model_config = ConfigDict(json_schema_serialization_defaults_required=True)
        a: int
        b: int = 0

    old, new = (
        TypeAdapter(each).json_schema(mode="serialization") for each in (model(a=int), Sent)
    )
    assert new["required"] == ["a", "b"]
    rules = {change.rule.id for change in message_changes("event", "payload", old, new)}
    assert rules == {"optional-field-added", "documentation-changed"}


def test_what_changed_is_said_with_its_place() -> None:
    """A pointer into the message, and the old beside the new."""
    old, new = (TypeAdapter(list[model(a=each)]).json_schema() for each in (Old, More))  # type: ignore[misc]
    [change] = message_changes("books/1 queue close", "payloadSchema", old, new)
    assert change.place == "payloadSchema /*/a"
    assert '"pink"' in change.detail.partition("→")[2]
