"""Which bridge events travel by, and what PURISTA's AMQP wire looks like in Kombu's objects."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purista_celery import Settings
from purista_celery.compiler.app import compile_app
from purista_celery.endpoints import Endpoints
from purista_celery.errors import ConfigurationError, InvalidMessage
from purista_celery.producer.bridge import TopicBridge
from purista_celery.producer.bridges import bridge_of
from purista_celery.producer.purista_amqp import PuristaAmqpBridge
from tests.unit.compiler.services import declare

RABBIT = Endpoints("amqp://127.0.0.1:1//", "redis://127.0.0.1:1/0")
REDIS = Endpoints("redis://127.0.0.1:1/0", "redis://127.0.0.1:1/0")


def settings(**given: Any) -> Settings:
    urls = {"broker_url": RABBIT.broker_url, "ledger_url": RABBIT.ledger_url}
    return Settings(**{**urls, "event_bridge": "purista-amqp", **given})


def test_the_topic_exchange_is_what_nobody_has_to_choose() -> None:
    """On either broker."""
    for endpoints in (RABBIT, REDIS):
        bridge = bridge_of(settings(event_bridge="topic", namespace="acme"), endpoints)
        assert isinstance(bridge, TopicBridge)
        assert bridge.exchange.name == "acme.events"


def test_redis_is_refused_when_compiled() -> None:
    """It has no headers exchange; the message says what to change."""
    with pytest.raises(ConfigurationError, match=r"needs RabbitMQ.*PURISTA_BROKER_URL") as caught:
        compile_app(declare().services, settings(broker_url=REDIS.broker_url))
    assert caught.value.code == "PURISTA_CONFIGURATION_INVALID"


@pytest.mark.parametrize(
    ("given", "exchange", "queue"),
    [
        ({}, "purista", "purista.sub.books.2.record"),
        ({"namespace": "acme"}, "purista", "acme.sub.books.2.record"),
        (
            {"amqp_exchange": "shop", "amqp_prefix": "team"},
            "shop",
            "team.sub.books.2.record",
        ),
    ],
)
def test_names_are_puristas(given: dict[str, Any], exchange: str, queue: str) -> None:
    """``exchangeName`` and ``<namePrefix>.sub.<service>.<version>.<subscription>``."""
    app = compile_app(declare().services, settings(**given))
    inbox = app.purista_runtime.inboxes["sub.books.2.record"]
    assert inbox.name == queue
    assert (inbox.durable, inbox.exclusive, inbox.auto_delete) == (True, False, False)
    assert not inbox.queue_arguments, "PURISTA declares the same queue without any"
    for bound in inbox.bindings:
        found = bound.exchange
        assert (found.name, found.type, found.durable) == (exchange, "headers", True)
        assert bound.routing_key == ""


def test_an_inbox_is_bound_by_all_that_it_filters() -> None:
    """An event by name, published by itself or as an answer; a pattern by the rest."""
    bridge = PuristaAmqpBridge("purista", "purista")

    def bound(event_name: str) -> list[dict[str, Any]]:
        inbox = bridge.inbox("sub.a.1.b", event_name, {"x-queue-type": "quorum"})
        return sorted((each.arguments for each in inbox.bindings), key=str)

    answer, event = {"messageType": "commandSuccessResponse"}, {"messageType": "customMessage"}
    name, match = {"eventName": "order.placed"}, {"x-match": "all"}
    assert bound("order.placed") == [{**match, **answer, **name}, {**match, **event, **name}]
    assert bound("order.#") == [{**match, **answer}, {**match, **event}]


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("order.placed", "anything", True),  # the exchange has matched it
        ("order.#", "order", True),
        ("order.#", "order.placed.late", True),
        ("order.#", "orders.placed", False),
        ("order.*", "order.placed", True),
        ("order.*", "order", False),
        ("order.*", "order.placed.late", False),
        ("#.late", "order.placed.late", True),
        ("*.#.late", "late", False),
        ("#", "anything.at.all", True),
    ],
)
def test_a_pattern_hears_what_a_topic_exchange_would_give_it(
    pattern: str, name: str, expected: object
) -> None:
    """RabbitMQ's rules."""
    assert PuristaAmqpBridge("p", "p").hears(pattern, {"eventName": name}) is expected


def test_an_answer_without_an_event_is_not_for_a_pattern() -> None:
    """Nor is one whose name is no text."""
    for headers in ({}, {"eventName": None}, {"eventName": 5}):
        assert not PuristaAmqpBridge("p", "p").hears("#", headers)


@given(st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=5))
def test_a_name_is_heard_by_itself_with_any_word_replaced(words: list[str]) -> None:
    """By ``*`` for one word, and by ``#`` for the rest of it."""
    bridge = PuristaAmqpBridge("p", "p")
    headers = {"eventName": ".".join(words)}
    for number in range(len(words)):
        one = [*words[:number], "*", *words[number + 1 :]]
        rest = [*words[:number], "#"]
        assert bridge.hears(".".join(one), headers)
        assert bridge.hears(".".join(rest), headers)
        assert not bridge.hears(".".join([*one, "*"]), headers)


def test_an_answer_is_read_as_the_event_that_it_is() -> None:
    """And another kind of message is not."""
    sender = dict.fromkeys(("serviceName", "serviceVersion", "serviceTarget", "instanceId"), "x")
    message = {"id": "1", "timestamp": 5, "eventName": "e", "sender": sender, "payload": {"n": 1}}
    bridge = PuristaAmqpBridge("p", "p")

    def body(message_type: str) -> str:
        return json.dumps({**message, "messageType": message_type})

    event = bridge.read(body("commandSuccessResponse"))
    assert (event.message_type, event.payload) == ("customMessage", {"n": 1})
    assert event.to_wire() == bridge.read(body("customMessage")).to_wire()
    for other in (body("commandErrorResponse"), "[]", "{", b"\xff"):
        with pytest.raises(InvalidMessage):
            bridge.read(other)


def test_beat_publishes_by_the_same_bridge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It knows no contracts, and so takes the bridge from its settings."""
    manifest = tmp_path / "schedules.json"
    manifest.write_text('{"schedules": [], "version": "1"}')
    chosen = settings(schedule_manifest=manifest)
    # The module makes an app of the environment when it is imported.
    monkeypatch.setenv("PURISTA_SCHEDULE_MANIFEST", str(manifest))
    monkeypatch.setenv("PURISTA_BROKER_URL", str(chosen.broker_url))
    monkeypatch.setenv("PURISTA_LEDGER_URL", str(chosen.ledger_url))
    app = import_module("purista_celery.beat").beat_app(chosen)
    assert isinstance(app.conf.purista_event_bridge, PuristaAmqpBridge)
