"""Which names are accepted, and what is said about those that are not."""

from __future__ import annotations

import pytest

from purista_celery.contracts import names
from purista_celery.errors import InvalidName


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "billing.monthlyClosing",
        "v1.2-rc_3",
        "eventToQueue:billing.due:billing.close",  # PURISTA's name of a binding
        "9lives",
        "x" * 180,  # the longest
    ],
)
def test_a_dotted_name_is_returned_as_it_is(name: str) -> None:
    """What is safe as routing key, queue name and Redis key alike is accepted."""
    assert names.dotted("Queue", name) == name
    assert names.pattern("Queue", name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",  # nothing
        " ",  # blank
        "a b",  # white space
        "a\n",  # a line end that a careless $ would let pass
        ".a",  # an empty word before
        "a.",  # … after
        "a..b",  # … between
        "a.*",  # a topic wildcard for one word
        "#",  # … for any number of words
        "{a}",  # a Redis Cluster hash tag
        "a/b",  # a separator of schedule keys
        "ä",  # not ASCII
        "٣",  # a digit, but not an ASCII one
        None,  # not text at all
        7,
    ],
)
def test_another_name_is_refused_by_kind_and_value(name: str) -> None:
    """The message names the kind of contract, the name, and what is expected."""
    with pytest.raises(InvalidName) as caught:
        names.dotted("Queue", name)
    assert caught.value.code == "PURISTA_CONTRACT_INVALID_NAME"
    assert f"Queue name {name!r}: expected words of" in str(caught.value)


def test_a_name_that_would_not_fit_the_broker_is_refused() -> None:
    """AMQP allows 255 bytes and the topology adds a prefix; the message counts."""
    with pytest.raises(InvalidName, match="has 181 characters; at most 180 fit"):
        names.dotted("Event", "x" * 181)


@pytest.mark.parametrize("pattern", ["#", "*", "billing.#", "*.done", "a.*.c", "a.#.c"])
def test_a_pattern_may_hold_wildcards_as_whole_words(pattern: str) -> None:
    """As RabbitMQ's topic exchange reads them."""
    assert names.pattern("Subscribed event", pattern) == pattern
    assert names.is_pattern(pattern)


@pytest.mark.parametrize("pattern", ["a*", "a.b#", "**", "#.", "", "a.*b"])
def test_a_wildcard_within_a_word_is_refused(pattern: str) -> None:
    """A broker would take it literally, and the subscription would hear nothing."""
    with pytest.raises(InvalidName, match="a word may be"):
        names.pattern("Subscribed event", pattern)


@pytest.mark.parametrize("name", ["billing", "b-2", "snake_case", "_private"])
def test_an_identifier_is_one_word(name: str) -> None:
    """Names of services and schedules become one part of a key."""
    assert names.identifier("Service", name) == name


@pytest.mark.parametrize("name", ["", "2nd", "-a", "a.b", "a:b", "a b", "*", None])
def test_anything_else_is_no_identifier(name: str) -> None:
    """Dots and colons separate the parts of keys."""
    with pytest.raises(InvalidName, match=r"Service name .* expected one word"):
        names.identifier("Service", name)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("a.b", ["a.b"], ["a.c", "a", "a.b.c"]),
        ("a.*", ["a.b"], ["a.b.c", "a"]),
        ("a.#", ["a.b.c", "a"], ["b.a"]),
        ("#", ["a", "a.b"], []),
        ("#.c", ["a.b.c", "c"], ["a.b"]),
        ("a.#.c", ["a.c", "a.b.b.c"], ["a.c.b"]),
        ("*.b.#", ["a.b.c.d", "a.b"], ["b.a"]),
    ],
)
def test_a_pattern_matches_as_a_topic_exchange_does(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    """``*`` is one word, ``#`` none or more (AMQP 0-9-1, topic exchanges)."""
    assert [name for name in matching + others if names.matches(pattern, name)] == matching
