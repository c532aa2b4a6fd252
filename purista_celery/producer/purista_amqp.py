"""PURISTA's own AMQP wire, so that its TypeScript services and ours exchange events on a RabbitMQ.

As its ``AmqpBridge`` has it (``packages/amqpbridge``): one headers exchange, an empty routing key,
the whole envelope as JSON, and for each subscription a durable queue that is bound by headers.
Retries and dead letters of our subscriptions are the ledger's. A message that comes back through a
retry queue of PURISTA's is read like any other, and is the same job by its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from kombu.entity import Exchange, Queue, binding
from pydantic import BeforeValidator

from purista_celery.contracts import names
from purista_celery.messages.envelope import AnyEvent, EventMessage
from purista_celery.producer.bridge import Publication
from purista_celery.transport.topic import fits

#: An event is a message of its own, or a command's answer that carries an event's name.
_EVENT, _ANSWER = "customMessage", "commandSuccessResponse"


def _as_event(message_type: Any) -> Any:
    return _EVENT if message_type == _ANSWER else message_type


class _Published(EventMessage[Any]):
    """An event as PURISTA publishes it: by itself, or as the answer of a command."""

    message_type: Annotated[Literal["customMessage"], BeforeValidator(_as_event)] = "customMessage"


class PuristaAmqpBridge:
    """Speaks PURISTA's AMQP wire.

    Args:
        exchange: PURISTA's ``exchangeName``.
        prefix: PURISTA's ``namePrefix``, of its queues.
    """

    heard_elsewhere = True

    def __init__(self, exchange: str, prefix: str) -> None:
        self._prefix = prefix
        self.exchange = Exchange(exchange, type="headers", durable=True, delivery_mode="persistent")

    def publication(self, event: AnyEvent) -> Publication:
        """Return the headers that PURISTA's subscriptions filter by, and milliseconds."""
        headers = {
            "messageType": event.message_type,
            "senderServiceName": event.sender.service_name,
            "senderServiceVersion": event.sender.service_version,
            "senderServiceTarget": event.sender.service_target,
            "senderInstanceId": event.sender.instance_id,
            "eventName": event.event_name,
            "principalId": event.principal_id,
            "tenantId": event.tenant_id,
        }
        return Publication(
            routing_key="",
            timestamp=event.timestamp,
            headers={name: value for name, value in headers.items() if value is not None},
        )

    def inbox(self, key: str, event_name: str, arguments: Mapping[str, Any]) -> Queue:
        """Return the queue that PURISTA would declare for the same subscription.

        Without ``arguments`` of ours, for a broker refuses a queue that is declared in two ways. A
        headers exchange knows no patterns: for one, all events are taken, and sorted by ``hears``.
        """
        del arguments
        named = {} if names.is_pattern(event_name) else {"eventName": event_name}
        return Queue(
            f"{self._prefix}.{key}",
            bindings=[
                binding(
                    self.exchange,
                    routing_key="",
                    arguments={"x-match": "all", "messageType": message_type, **named},
                )
                for message_type in (_EVENT, _ANSWER)
            ],
            durable=True,
            # Binds nothing here; it is by what a publisher knows who hears an event.
            routing_key=event_name,
        )

    def hears(self, event_name: str, headers: Mapping[str, Any]) -> bool:
        """Compare the header that bindings by name are matched with."""
        name = headers.get("eventName")
        if not names.is_pattern(event_name):
            return True
        return isinstance(name, str) and fits(event_name, name)

    def read(self, body: Any) -> AnyEvent:
        """Read an envelope; an answer is the event that it is published as."""
        return _Published.from_wire(body)
