"""The router on RabbitMQ, whose inboxes somebody deletes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from kombu import Queue
from kombu.connection import Connection

from purista_celery import Service, Settings
from purista_celery.compiler.app import compile_app
from purista_celery.ledger.reading import metrics
from purista_celery.runtime import router
from tests.support.servers import RedisServer, require_rabbitmq
from tests.support.waiting import until


class Post:
    """A router of two subscriptions, whose jobs wait in the ledger."""

    def __init__(self, ledger_url: str) -> None:
        self.service = Service("shop")
        self.sold = self.service.event("shop.sold", payload=str)
        self.bought = self.service.event("shop.bought", payload=str)
        for event in (self.sold, self.bought):
            self.service.subscribe(event, name=event.name.split(".")[1])(lambda job: None)
        settings = Settings(
            broker_url=require_rabbitmq(), ledger_url=ledger_url, namespace=uuid.uuid4().hex[:8]
        )
        self.app = compile_app([self.service], settings)
        self.runtime = self.app.purista_runtime
        self.inboxes: dict[str, Queue] = {
            name.rpartition(".")[2]: queue for name, queue in self.runtime.inboxes.items()
        }

    def jobs(self, subscription: str) -> int:
        """Return how many of its events are jobs."""
        [name] = [n for n in self.runtime.inboxes if n.endswith(subscription)]
        return metrics(self.runtime.ledger, name).pending

    def close(self) -> None:
        with self.app.connection_for_write() as connection:
            queues = (*self.inboxes.values(), *self.app.amqp.queues.values())
            for queue in queues:
                queue(connection.channel()).delete()
        self.app.close()


@pytest.fixture
def post(runtime_redis: RedisServer) -> Iterator[Post]:
    made = Post(runtime_redis.url)
    yield made
    made.close()


@pytest.fixture
def routing(post: Post) -> Iterator[None]:
    started = router.Router(post.runtime)
    started.start()
    yield
    started.stop()


def consumers(connection: Connection, queue: Queue) -> int:
    return int(queue(connection.channel()).queue_declare(passive=True).consumer_count)


@pytest.mark.usefixtures("routing")
def test_an_inbox_that_is_deleted_and_back_at_once_is_heard(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RabbitMQ 3.10 keeps its consumer and hands it what it never gets: after a silence the inbox
    is consumed anew, and so is each other, without a loss.
    """
    monkeypatch.setattr(router, "SILENCE", 2.0)
    client = post.app.purista
    client.emit(post.sold, "before")
    client.emit(post.bought, "before")
    until(lambda: post.jobs("sold") == post.jobs("bought") == 1, "both are jobs")
    with post.app.connection_for_write() as connection, connection.channel() as channel:
        post.inboxes["sold"](channel).delete()
        post.inboxes["sold"](channel).declare()
        client.emit(post.sold, "after")
        client.emit(post.bought, "after")
        until(lambda: post.jobs("sold") == 2, "the event after it is a job")
        assert post.jobs("bought") == 2
        for n in range(5):
            client.emit(post.bought, f"{n}")
        until(lambda: post.jobs("bought") == 7, "all others are jobs")
        until(lambda: consumers(connection, post.inboxes["bought"]) == 1, "it has one consumer")


@pytest.mark.usefixtures("routing")
def test_an_inbox_that_is_deleted_is_declared_by_who_emits(post: Post) -> None:
    """Its router is told before, and consumes what is declared anew."""
    client = post.app.purista
    client.emit(post.sold, "before")
    until(lambda: post.jobs("sold") == 1, "it is a job")
    with post.app.connection_for_write() as connection:
        post.inboxes["sold"](connection.channel()).delete()
        client.emit(post.sold, "after")
        until(lambda: post.jobs("sold") == 2, "so is the one after", router.SILENCE / 3)
