"""Which broker queues there are, what they are called, and what RabbitMQ is told of them."""

from __future__ import annotations

import pytest

from purista_celery.compiler.topology import Topology


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
    queue = topology.job_queue("shop.orders")
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
    assert topology.job_queue(key).name != topology.inbox(key, "a").name


def test_redis_is_told_nothing() -> None:
    """Queue arguments are RabbitMQ's."""
    topology = Topology("acme", quorum=False)
    assert topology.job_queue("q").queue_arguments == {}
    assert topology.inbox("q", "e").queue_arguments == {}


def test_rabbitmq_keeps_quorum_queues_that_all_processes_declare_alike() -> None:
    """Whoever knows a queue by name alone declares it as its workers do, before and after a deploy.

    So nothing of a contract is in the arguments. RabbitMQ waits for longer than any job may run;
    else it would close the channel of a worker that has not acknowledged for half an hour.
    """
    topology = Topology("acme", quorum=True)
    expected = {
        "x-queue-type": "quorum",
        "x-delivery-limit": 2**31 - 1,
        "x-consumer-timeout": 2**31 - 1,
    }
    assert topology.job_queue("q").queue_arguments == expected
    assert topology.default_queue().queue_arguments == expected
    assert topology.inbox("q", "e").queue_arguments == expected


def test_namespaces_share_no_name() -> None:
    """Two applications on one broker do not see each other."""
    first, second = Topology("a", quorum=False), Topology("b", quorum=False)
    assert first.events.name != second.events.name
    assert first.job_queue_name("q") != second.job_queue_name("q")
    assert first.inbox("s", "e").name != second.inbox("s", "e").name
