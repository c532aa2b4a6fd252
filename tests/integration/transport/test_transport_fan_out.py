"""Publishing to a topic exchange: in one step, by the bindings of that moment."""

from __future__ import annotations

import pytest
from kombu import Exchange, Producer, Queue

EVENTS = Exchange("events", "topic")


def bind(connect, name, pattern, **options):
    queue = Queue(name, EVENTS, routing_key=pattern, **options)(connect().default_channel)
    queue.declare()
    return queue


def lengths(client, *names):
    return [client.llen(name) for name in names]


@pytest.fixture
def publish(connect):
    """Publishes events, all of them by one channel that has published before."""
    producer = Producer(connect().default_channel)

    def emit(name: str, **options) -> None:
        producer.publish({"n": 1}, exchange=EVENTS, routing_key=name, declare=[EVENTS], **options)

    emit("nobody.hears")
    return emit


def test_every_queue_that_hears_it_gets_one(connect, client, publish):
    """By name or by pattern, and once if two of its patterns fit."""
    bind(connect, "named", "order.paid")
    bind(connect, "all", "#")
    bind(connect, "all", "order.*")
    bind(connect, "other", "order.lost")
    publish("order.paid")
    assert lengths(client, "named", "all", "other") == [1, 1, 0]


def test_a_binding_counts_from_the_next_event_on(connect, client, publish):
    """Another process declares a queue, and deletes it, between two events of one publisher."""
    bind(connect, "first", "order.#")
    publish("order.paid")
    late = bind(connect, "late", "order.#")
    publish("order.paid")
    assert lengths(client, "first", "late") == [2, 1]
    late.delete()
    publish("order.paid")
    assert lengths(client, "first", "late") == [3, 0]


def test_bindings_that_have_not_changed_are_not_read_again(connect, client, publish):
    """One command an event."""
    bind(connect, "q", "order.#")
    publish("order.paid")
    client.config_resetstat()
    for _ in range(5):
        publish("order.paid")
    calls = {name: stats["calls"] for name, stats in client.info("commandstats").items()}
    assert calls["cmdstat_evalsha"] == 5
    assert client.llen("q") == 6


def test_each_queue_gets_it_at_its_priority(connect, client, publish):
    """As a put into one queue does."""
    bind(connect, "q", "#")
    publish("order.paid", priority=9)
    assert lengths(client, "q", b"q\x06\x169") == [0, 1]


def test_a_prefix_is_that_of_bindings_too(connect, client):
    """Two applications on one Redis do not hear each other."""
    for prefix in ("one:", "two:"):
        channel = connect(global_keyprefix=prefix).default_channel
        Queue("q", EVENTS, routing_key="#")(channel).declare()
    producer = Producer(connect(global_keyprefix="one:").default_channel)
    producer.publish({}, exchange=EVENTS, routing_key="order.paid", declare=[EVENTS])
    assert lengths(client, "one:q", "two:q") == [1, 0]


def test_a_channel_that_knows_queues_that_expire_renews_them(connect, client):
    """The queue's life is counted from the last event, as in Kombu."""
    channel = connect().default_channel
    Queue("q", EVENTS, routing_key="#", expires=100)(channel).declare()
    Producer(channel).publish({}, exchange=EVENTS, routing_key="order.paid")
    assert 0 < client.pttl("q") <= 100_000
