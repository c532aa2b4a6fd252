"""Which broker queues there are, what they are called, and what RabbitMQ is told of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from purista_celery.compiler.topology import Topology

HOUR = timedelta(hours=1)


@pytest.fixture(params=[False, True], ids=["redis", "rabbitmq"])
def topology(request: pytest.FixtureRequest) -> Topology:
    return Topology("acme", quorum=request.param)


def test_events_travel_through_one_durable_topic_exchange(topology: Topology) -> None:
    """Of the namespace's own."""
    exchange = topology.events
    assert (exchange.name, exchange.type, exchange.durable) == ("acme.events", "topic", True)
    assert exchange.delivery_mode == 2


def test_a_queues_jobs_travel_through_a_queue_of_its_name(topology: Topology) -> None:
    """By the default exchange, so that its name is all that a publisher needs."""
    queue = topology.job_queue("shop.orders", HOUR)
    assert queue.name == queue.routing_key == topology.job_queue_name("shop.orders")
    assert queue.name == "acme.job.shop.orders"
    assert (queue.exchange.name, queue.exchange.type) == ("", "direct")
    assert (queue.durable, queue.exclusive, queue.auto_delete) == (True, False, False)


def test_a_subscription_has_a_durable_inbox_bound_by_name(topology: Topology) -> None:
    """Events wait there for a router, whether a worker runs or not."""
    queue = topology.inbox("sub.books.2.record", "orders.#")
    assert (queue.name, queue.routing_key) == ("acme.sub.books.2.record", "orders.#")
    assert queue.exchange == topology.events
    assert (queue.durable, queue.exclusive, queue.auto_delete) == (True, False, False)


def test_no_two_queues_share_a_name(topology: Topology) -> None:
    """A subscription's job queue and its inbox are two."""
    key = "sub.books.2.record"
    assert topology.job_queue(key, HOUR).name != topology.inbox(key, "a").name


def test_redis_is_told_nothing() -> None:
    """Queue arguments are RabbitMQ's."""
    topology = Topology("acme", quorum=False)
    assert topology.job_queue("q", HOUR).queue_arguments == {}
    assert topology.inbox("q", "e").queue_arguments == {}


@pytest.mark.parametrize(
    ("longest_hold", "milliseconds"),
    [
        (timedelta(seconds=30), 1_800_000),  # RabbitMQ's own default at the least
        (timedelta(minutes=15), 1_800_000),
        (HOUR, 7_200_000),  # twice as long as a job may be held
        (timedelta(hours=6), 43_200_000),
    ],
)
def test_rabbitmq_keeps_quorum_queues_and_waits_for_long_jobs(
    longest_hold: timedelta, milliseconds: int
) -> None:
    """Else it would close the channel of a worker that has not acknowledged for half an hour."""
    topology = Topology("acme", quorum=True)
    assert topology.job_queue("q", longest_hold).queue_arguments == {
        "x-queue-type": "quorum",
        "x-delivery-limit": 2**31 - 1,
        "x-consumer-timeout": milliseconds,
    }
    assert topology.inbox("q", "e").queue_arguments["x-queue-type"] == "quorum"


def test_namespaces_share_no_name() -> None:
    """Two applications on one broker do not see each other."""
    first, second = Topology("a", quorum=False), Topology("b", quorum=False)
    assert first.events.name != second.events.name
    assert first.job_queue_name("q") != second.job_queue_name("q")
    assert first.inbox("s", "e").name != second.inbox("s", "e").name
