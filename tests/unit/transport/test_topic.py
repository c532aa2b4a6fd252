"""Topic patterns mean what AMQP says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purista_celery.transport.topic import fits

CASES = [
    ("a", "a", True),
    ("a", "a.b", False),
    ("a.b", "a.b", True),
    ("a.b", "axb", False),
    ("*", "a", True),
    ("*", "a.b", False),
    ("a.*", "a", False),
    ("a.*", "a.b", True),
    ("#", "a", True),
    ("#", "a.b.c", True),
    # None is any number, too; Kombu's own transports want at least one word.
    ("a.#", "a", True),
    ("a.#", "a.b.c", True),
    ("a.#", "ab", False),
    ("#.c", "c", True),
    ("#.c", "a.b.c", True),
    ("a.#.c", "a.c", True),
    ("a.#.c", "a.b.b.c", True),
    ("a.*.#", "a", False),
    ("*.#.*", "a.b", True),
]


@pytest.mark.parametrize(("pattern", "name", "expected"), CASES)
def test_wildcards(pattern: str, name: str, expected: bool) -> None:  # noqa: FBT001
    """``*`` is one word, ``#`` is any number of words."""
    assert fits(pattern, name) is expected


WORDS = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=6)
PATTERNS = st.lists(st.sampled_from(["a", "b", "ab", "*", "#"]), min_size=1, max_size=6)


def by_definition(pattern: list[str], words: list[str]) -> bool:
    """Match word by word, as the AMQP specification describes it."""
    if not pattern:
        return not words
    first, rest = pattern[0], pattern[1:]
    if first == "#":
        return any(by_definition(rest, words[n:]) for n in range(len(words) + 1))
    return bool(words) and first in ("*", words[0]) and by_definition(rest, words[1:])


@given(PATTERNS, WORDS)
def test_any_pattern_fits_what_its_definition_says(pattern: list[str], words: list[str]) -> None:
    """The regular expression and the recursive definition agree."""
    assert fits(".".join(pattern), ".".join(words)) is by_definition(pattern, words)
