"""How events travel: what is published where, what an inbox is bound to, and what is read from it.

Everything else about events is the same on any bridge: envelopes, inboxes, the router's rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from kombu.entity import Exchange, Queue

from purista_celery.messages.addresses import events_exchange_name, inbox_name
from purista_celery.messages.envelope import AnyEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """What a message of an event carries besides its body."""

    routing_key: str
    #: In the unit that the bridge's readers expect.
    timestamp: int
    headers: Mapping[str, str] = field(default_factory=dict)


class EventBridge(Protocol):
    """One way in which events travel."""

    @property
    def exchange(self) -> Exchange:
        """The exchange that events are published on."""
        ...

    @property
    def heard_elsewhere(self) -> bool:
        """Whether apps that this one knows nothing of may hear its events."""
        ...

    def publication(self, event: AnyEvent) -> Publication:
        """Return how ``event`` is published."""
        ...

    def inbox(self, key: str, event_name: str, arguments: Mapping[str, Any]) -> Queue:
        """Return the durable queue in which a subscription's events wait for the router.

        Args:
            key: ``sub.<service>.<version>.<name>``.
            event_name: a name or a topic pattern.
            arguments: of a queue of ours on this broker.
        """
        ...

    def hears(self, event_name: str, headers: Mapping[str, Any]) -> bool:
        """Tell whether what waits in an inbox is for the subscription to ``event_name``."""
        ...

    def read(self, body: Any) -> AnyEvent:
        """Read an event.

        Raises:
            InvalidMessage: it is none.
        """
        ...


class TopicBridge:
    """Our own: a durable topic exchange ``<namespace>.events``, on any broker."""

    #: All who hear them are of one namespace, and declare what they hear.
    heard_elsewhere = False

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        name = events_exchange_name(namespace)
        self.exchange = Exchange(name, type="topic", durable=True, delivery_mode="persistent")

    def publication(self, event: AnyEvent) -> Publication:
        """Return the event's name as its routing key, and its time in seconds, as AMQP has it."""
        return Publication(routing_key=event.event_name, timestamp=event.timestamp // 1000)

    def inbox(self, key: str, event_name: str, arguments: Mapping[str, Any]) -> Queue:
        """Return a queue that is bound by name or pattern."""
        return Queue(
            inbox_name(self._namespace, key),
            self.exchange,
            routing_key=event_name,
            durable=True,
            queue_arguments=dict(arguments),
        )

    def hears(self, event_name: str, headers: Mapping[str, Any]) -> bool:
        """Return True: the exchange has matched already."""
        del event_name, headers
        return True

    def read(self, body: Any) -> AnyEvent:
        """Read an envelope."""
        return AnyEvent.from_wire(body)
