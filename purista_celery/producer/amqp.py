"""Celery's ``app.amqp`` with our connections, and with consumers that no queue can hold up."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery.app import amqp
from kombu.entity import Queue

from purista_celery.producer.declaring import Declarations
from purista_celery.transport.connection import Connection


class AMQP(amqp.AMQP):
    """Given to Celery's app as its ``amqp``."""

    Connection = Connection
    BrokerConnection = Connection

    @cached_property
    def declarations(self) -> Declarations:
        """What this process knows of refused queues."""
        return Declarations()

    def TaskConsumer(  # noqa: N802 - Celery's name
        self, channel: Any, queues: Any = None, accept: Any = None, **options: Any
    ) -> Any:
        """Return a consumer of the queues that the broker lets us use (called by Celery).

        Args:
            channel: or a connection, as Celery hands it over.
        """
        wanted = list(queues or self.queues.consume_from.values())
        if accept is None:
            accept = self.app.conf.accept_content
        if not speaks_amqp(channel):
            return self.Consumer(channel, accept=accept, queues=wanted, **options)
        usable = [queue for queue in wanted if self.declarations.declare(channel, queue)]
        return self.Consumer(channel, accept=accept, queues=usable, auto_declare=False, **options)

    def left_out(self, consumer: Any) -> list[Queue]:
        """Return the queues that ``consumer`` should consume from and was not given."""
        given = {queue.name for queue in consumer.queues}
        return [each for name, each in self.queues.consume_from.items() if name not in given]


def speaks_amqp(connection: Any) -> bool:
    """Tell whether this is a connection to a RabbitMQ."""
    transport = getattr(connection, "transport", None)
    return getattr(transport, "driver_type", None) == "amqp"
