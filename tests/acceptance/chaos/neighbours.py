"""The broker as its neighbours reach it: past all our code, in what form they like."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import redis
from amqp import Connection as Amqp
from amqp.exceptions import AMQPError, NotFound
from celery import Celery
from kombu import Connection, Exchange

from tests.acceptance.chaos.faults import Fault

#: No message of Celery's, of any kind.
BODIES = (
    *(b"5", b"[1]", b"null", b'"text"', b"{}", b"", b"\xff\xfe\x00", b"[" * 2000),
    *(b"[[], {}, 5]", b'[{"type": 5}]', b'{"method": 5}', b'{"method": "no_such", "arguments": 1}'),
)
HEADERS: tuple[dict[str, Any], ...] = ({}, {"task": 5}, {"id": {}, "lang": []})
TYPES = (*["application/json"] * 3, "application/x-python-serialize", "text/plain", "")
#: Written where a neighbour does not speak Kombu at all; Redis only.
RAW = (b"5", b"\xff\xfe", b"{}", b'{"body": 5}', b'{"headers": [], "properties": null}')
#: What cuts across what is written here.
ERRORS = (AMQPError, OSError, redis.RedisError)


@dataclass
class Neighbours:
    """What is on a broker of the namespace of ``app``."""

    url: Callable[[], str]
    #: Any that is compiled for the namespace.
    app: Celery = field(init=False)

    @property
    def job_queues(self) -> list[str]:
        """The broker's names of the queues whose jobs workers run."""
        runtime = self.app.purista_runtime
        return [self._prefix + runtime.wiring.queues[name].broker_name for name in self.declared]

    @property
    def declared(self) -> list[str]:
        """The contracts' names of them."""
        queues = self.app.purista_runtime.wiring.queues.values()
        return [queue.name for queue in queues if queue.declared is not None]

    @property
    def inboxes(self) -> list[str]:
        """The broker's names of the queues in which events wait for their subscriptions."""
        inboxes = self.app.purista_runtime.inboxes.values()
        return [self._prefix + inbox.name for inbox in inboxes]

    def waiting(self, names: Iterable[str]) -> dict[str, int]:
        """Return how many messages wait in queues, by the broker's names of them."""
        return self._in_redis(names) if self._is_redis else self._in_rabbitmq(names)

    def spoil(self, fault: Fault) -> None:
        """Write what is no message of ours to where ours come from."""
        dice = random.Random(fault.luck)
        with suppress(*ERRORS):
            if self._is_redis:
                self._spoil_redis(dice)
            self._spoil_queues(dice)
            self._spoil_exchanges(dice)

    def _spoil_queues(self, dice: random.Random) -> None:
        for queue in dice.sample([*self.job_queues, *self.inboxes], 2):
            self._publish(dice, "", queue.removeprefix(self._prefix))

    def _spoil_exchanges(self, dice: random.Random) -> None:
        control = f"{self.app.conf.control_exchange}.pidbox"
        self._publish(dice, Exchange(control, "fanout", durable=False), "")
        self._publish(dice, Exchange(self.app.conf.event_exchange, "topic"), "worker.heartbeat")

    def _publish(self, dice: random.Random, exchange: Exchange | str, key: str) -> None:
        options = {"global_keyprefix": self._prefix} if self._is_redis else {}
        with (
            Connection(self.url(), transport_options=options) as connection,
            connection.Producer() as producer,
        ):
            for body in dice.sample(BODIES, 5):
                producer.publish(
                    body,
                    exchange=exchange if self._is_redis else getattr(exchange, "name", exchange),
                    # Kombu's Redis has to know an exchange; RabbitMQ has it already.
                    declare=[exchange] if self._is_redis and exchange else [],
                    routing_key=key,
                    content_type=dice.choice(TYPES) or "unknown",
                    content_encoding=dice.choice(("utf-8", "binary")),
                    headers=dice.choice(HEADERS),
                )

    def _spoil_redis(self, dice: random.Random) -> None:
        with redis.Redis.from_url(self.url()) as client:
            for queue in dice.sample([*self.job_queues, *self.inboxes], 2):
                client.lpush(queue, dice.choice(RAW))
            for channel in client.pubsub_channels("*pidbox*"):
                client.publish(channel, dice.choice(RAW))

    def _in_redis(self, names: Iterable[str]) -> dict[str, int]:
        with redis.Redis.from_url(self.url()) as client:
            return {name: int(client.llen(name)) for name in names}

    def _in_rabbitmq(self, names: Iterable[str]) -> dict[str, int]:
        found = {}
        parts = Connection(self.url())
        with Amqp(
            f"{parts.hostname}:{parts.port}",
            parts.userid,
            parts.password,
            virtual_host=parts.virtual_host or "/",
            read_timeout=5,
        ) as connection:
            for name in names:
                try:
                    declared = connection.channel().queue_declare(name, passive=True)
                except NotFound:
                    continue
                found[name] = int(declared.message_count)
        return found

    @property
    def _is_redis(self) -> bool:
        return self.url().startswith("redis")

    @property
    def _prefix(self) -> str:
        namespace: str = self.app.purista_runtime.settings.namespace
        return f"{namespace}:" if self._is_redis else ""
