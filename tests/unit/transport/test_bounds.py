"""JSON is measured before anything is made of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purista_celery.transport.bounds import Bounds

BOUNDS = Bounds(size=100_000, depth=20, parts=1_000)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"x" * 100_001, "bytes"),
        (b"[" * 21 + b"]" * 21, "nested"),
        (b'{"a":' * 21 + b"1" + b"}" * 21, "nested"),
        (b"[" * 50_000, "values"),
        (b"[" + b"[]," * 999 + b"[]]", "values"),
        (b"[" + b"1," * 1_001 + b"1]", "values"),
        (b"{" + b'"a":"b",' * 1_001 + b"}", "values"),
        # A backslash before the last quote of a text ends nothing.
        (b'["\\\\",' + b"[" * 21 + b"]" * 22, "nested"),
        (b'["\\"",' + b"[" * 21 + b"]" * 22, "nested"),
        # Never closed: no parser reads it, and it is no longer than it is.
        (b"[" * 21 + b'"', "nested"),
    ],
)
def test_what_goes_beyond_is_told_by_what(text: bytes, problem: str) -> None:
    """By its length, its depth, or the number of its values."""
    assert problem in (BOUNDS.excess(text) or "")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"5",
        b"\xff\x00garbage",
        b"[" * 20 + b"]" * 20,
        b"[" + b"1," * 900 + b"1]",
        # Brackets in a text are text, and so is what follows an escaped quote.
        json.dumps("[" * 5_000 + ',"' * 900).encode(),
        json.dumps({"a": '\\"' * 500, "b": "[{" * 5_000}).encode(),
        b"[[],[]]" + b" " * 50_000,
    ],
)
def test_what_keeps_them_is_not_held_up(text: bytes) -> None:
    """Whatever stands within its strings, and also where it is no JSON."""
    assert BOUNDS.excess(text) is None


def _depth(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 0


def _parts(value: object) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_parts, [*value, *value.values()]))
    return 1 + sum(map(_parts, value)) if isinstance(value, list) else 1


JSON = st.recursive(
    st.none() | st.integers() | st.text(alphabet='ab"\\[]{},:'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@given(value=JSON, depth=st.integers(0, 6))
def test_depth_is_that_of_the_value(value: object, depth: int) -> None:
    """However the text is written."""
    text = json.dumps(value).encode()
    assert (Bounds(10**6, depth, 10**6).excess(text) is None) == (_depth(value) <= depth)


@given(value=JSON)
def test_as_many_parts_as_a_value_has_are_enough(value: object) -> None:
    """Nothing is refused for values that it does not hold; a list in a list counts twice."""
    assert Bounds(10**6, 100, 2 * _parts(value)).excess(json.dumps(value).encode()) is None
