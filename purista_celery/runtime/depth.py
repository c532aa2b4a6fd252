"""How many messages wait in a broker queue, on any broker."""

from __future__ import annotations

from amqp.exceptions import NotFound
from kombu.connection import Connection
from kombu.exceptions import ChannelError

from purista_celery.producer.wiring import JobQueue


def depth(connection: Connection, queue: JobQueue) -> int:
    """Return the number of messages that wait for a consumer; 0 for a queue that is gone.

    On a channel of its own: RabbitMQ closes one that asks for what is not there.
    """
    # An outage leaves a closed connection, and a closed one opens no channel.
    connection.ensure_connection(max_retries=1)
    with connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue.broker_name, passive=True).message_count)
        except (ChannelError, NotFound):
            return 0
