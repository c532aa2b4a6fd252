"""Which parts of a value are hidden, and how they are found in texts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, PlainValidator, TypeAdapter
from typing_extensions import TypedDict

from purista_celery import Cron, Sensitive, Service
from purista_celery.contracts.masking import MASK, Secrets, is_sensitive, masked, secrets
from purista_celery.errors import ContractError, UnsupportedPayload

Secret = Annotated[str, Sensitive("secret")]


class Home(BaseModel):
    street: str


class Card(BaseModel):
    kind: Literal["card"]
    number: Secret


class Cash(BaseModel):
    kind: Literal["cash"]
    number: int


class Typed(TypedDict):
    pin: Secret


@dataclass
class Plain:
    pin: Secret
    open: int = 0


class Person(BaseModel):
    bare: Annotated[str, Sensitive] = ""
    named: Annotated[str, Field(alias="otherName"), Sensitive()] = ""
    optional: Annotated[int | None, Sensitive("secret")] = None
    member: Secret | None = None
    home: Annotated[Home | None, Sensitive()] = None
    listed: list[Secret] = []
    pair: tuple[int, Secret] = (0, "")
    mapped: dict[str, Secret] = {}
    keyed: dict[Annotated[str, Field(pattern="^a"), Sensitive()], int] = {}
    paid: Annotated[Card | Cash, Field(discriminator="kind")] | None = None
    typed: Typed | None = None
    plain: Plain | None = None
    child: Person | None = None
    odd: Annotated[Any, PlainValidator(lambda value: value), Sensitive()] = None
    open: Any = None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"bare": "x"}, {"bare": MASK}),
        ({"otherName": "x"}, {"otherName": MASK}),
        ({"optional": 7}, {"optional": MASK}),
        ({"optional": None, "open": None}, {"optional": None, "open": None}),
        ({"member": "x"}, {"member": MASK}),
        ({"home": {"street": "x"}}, {"home": MASK}),
        ({"listed": ["x", "y"]}, {"listed": [MASK, MASK]}),
        ({"pair": [1, "x"]}, {"pair": [1, MASK]}),
        ({"mapped": {"k": "x"}}, {"mapped": {"k": MASK}}),
        ({"keyed": {"ada": 1}}, {"keyed": MASK}),
        ({"paid": {"kind": "card", "number": "4"}}, {"paid": {"kind": "card", "number": MASK}}),
        ({"typed": {"pin": "1"}}, {"typed": {"pin": MASK}}),
        ({"plain": {"pin": "1", "open": 2}}, {"plain": {"pin": MASK, "open": 2}}),
        ({"child": {"child": {"bare": "x"}}}, {"child": {"child": {"bare": MASK}}}),
        ({"odd": "x"}, {"odd": MASK}),
        ({"open": {"any": ["thing", 1]}}, {"open": {"any": ["thing", 1]}}),
        # What does not fit the contract: a name that it does not know, another form.
        ({"brae": "x"}, {"brae": MASK}),
        ("x", MASK),
        (["x"], MASK),
        ({"typed": "x"}, {"typed": MASK}),
        ({"listed": "x"}, {"listed": MASK}),
    ],
)
def test_what_is_marked_is_hidden_and_nothing_else(value: Any, shown: Any) -> None:
    """Wherever in a type the mark stands; a null is no secret."""
    assert masked(TypeAdapter(Person), value) == shown


def test_a_type_without_marks_is_shown_as_it_is() -> None:
    """Unknown names and forms included."""
    adapter = TypeAdapter(Home)
    assert not is_sensitive(adapter)
    assert masked(adapter, {"stret": "x"}) == {"stret": "x"}
    assert not secrets(adapter, {"street": "x"}).sensitive


@given(st.text(min_size=4), st.text(alphabet=st.characters(exclude_characters="*")))
def test_a_secret_is_found_in_any_text(secret: str, before: str) -> None:
    """As it is, and as Python or JSON quotes it, also within a longer word."""
    known = secrets(TypeAdapter(Typed), {"pin": secret})
    spellings = (secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret))
    for spelt in spellings:
        assert MASK in known.hidden_in(before + spelt)
        assert secret not in known.hidden_in(before + spelt).replace(MASK, "")


def test_short_secrets_are_hidden_where_they_are_words() -> None:
    """A pin of two digits does not tear line numbers apart."""
    known = Secrets(frozenset({"42"}), sensitive=True)
    assert known.hidden_in("42, '42', 1423 at line 422") == "***, '***', 1423 at line 422"
    assert known.hidden_anywhere({"a": [42, True, "is 42"], "b": 4}) == {
        "a": [MASK, True, "is ***"],
        "b": 4,
    }


def test_what_pydantic_cuts_off_is_hidden() -> None:
    """It shows the two ends of a long input, so the whole of it is not there to be found."""
    text = "v\n  Input … [type=int_parsing, input_value='corre...tail', input_type=str]"
    assert "corre" not in Secrets(sensitive=True).hidden_in(text)
    assert Secrets().hidden_in(text) == text


def test_exports_say_what_is_sensitive() -> None:
    """In the JSON Schema, which all documents carry; with the kind."""
    properties = TypeAdapter(Person).json_schema()["$defs"]["Person"]["properties"]
    assert properties["bare"]["x-purista-sensitive"] == "personal"
    assert properties["optional"]["x-purista-sensitive"] == "secret"
    assert "x-purista-sensitive" not in properties["open"]


def test_a_mark_of_another_kind_is_refused() -> None:
    """With the kinds that there are."""
    with pytest.raises(ContractError, match="'public' is none of 'personal', 'secret'"):
        Sensitive("public")  # type: ignore[arg-type]


def test_a_schedule_with_a_sensitive_payload_is_refused() -> None:
    """The manifest holds it, which is a file that is checked in and shown around."""
    service = Service("s")
    queue = service.queue("s.q", payload=Typed)
    with pytest.raises(UnsupportedPayload, match="marked sensitive") as refused:
        service.schedule("daily", Cron("0 0 * * *"), enqueues=queue, payload={"pin": "1234"})
    assert "1234" not in str(refused.value)
