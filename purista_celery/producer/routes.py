"""Whether an event has a queue to go to: each broker is asked in its own way.

RabbitMQ returns a mandatory message that no queue is bound for, before it confirms it. Kombu's
Redis transport drops one without a word, but keeps its bindings where they can be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kombu.entity import Queue
from kombu.messaging import Producer
from kombu.transport import virtual

from purista_celery.transport.topic import fits


def hearers(inboxes: Sequence[Queue], event_name: str) -> list[Queue]:
    """Return those of ``inboxes`` that an event of this name goes to."""
    return [inbox for inbox in inboxes if fits(inbox.routing_key, event_name)]


def unbound(channel: Any, queues: Sequence[Queue]) -> list[Queue]:
    """Return those of ``queues`` whose bindings are gone; RabbitMQ tells by returns instead."""
    if not queues or not isinstance(channel, virtual.Channel):
        return []
    exchange: Any = queues[0].exchange
    bound = {name for *_, name in channel.get_table(exchange.name)}
    return [queue for queue in queues if queue.name not in bound]


def declare(channel: Any, queues: Sequence[Queue]) -> None:
    """Declare ``queues`` with their bindings, whatever Kombu remembers to have declared."""
    for queue in queues:
        if isinstance(channel, virtual.Channel):
            channel.state.queue_bindings_delete(queue.name)
        queue(channel).declare()


class Returned:
    """The ids of mandatory messages that came back; safe to share between threads."""

    def __init__(self) -> None:
        self._ids: set[str] = set()

    def watch(self, producer: Producer) -> None:
        """Hear of what comes back to ``producer``, also after it reconnects."""
        connection: Any = producer.connection
        if not isinstance(connection.transport, virtual.Transport):
            producer.on_return = self._on_return

    def take(self, message_id: str) -> bool:
        """Tell whether this message came back, once."""
        came_back = message_id in self._ids
        self._ids.discard(message_id)
        return came_back

    def _on_return(self, error: Exception, exchange: str, routing_key: str, message: Any) -> None:
        del error, exchange, routing_key
        self._ids.add(message.properties["message_id"])
