"""What a channel is on the broker: AsyncAPI's ``bindings``, for RabbitMQ and for Redis.

Kombu declares the same on both; AsyncAPI has no fields for Redis yet, hence the ``x-purista``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from purista_celery.exports.channels import Action, Channel
from purista_celery.messages.addresses import events_exchange_name, job_queue_name

_PERSISTENT = 2


def channel_bindings(channel: Channel, namespace: str, vhost: str, version: str) -> dict[str, Any]:
    """Return the ``bindings`` of a channel: a routing key of the topic exchange, or a queue.

    Args:
        version: of AsyncAPI's binding for AMQP.
    """
    if channel.queue is None:
        exchange = events_exchange_name(namespace)
        amqp: Mapping[str, Any] = {
            "is": "routingKey",
            "exchange": {
                "name": exchange,
                "type": "topic",
                "durable": True,
                "autoDelete": False,
                "vhost": vhost,
            },
        }
        redis = {"exchange": exchange, "routingKey": channel.address, "type": "topic"}
    else:
        queue = job_queue_name(namespace, channel.queue)
        amqp = {
            "is": "queue",
            "queue": {
                "name": queue,
                "durable": True,
                "exclusive": False,
                "autoDelete": False,
                "vhost": vhost,
            },
        }
        # Kombu's keys: the list that is the queue, behind the prefix of the namespace.
        redis = {"key": f"{namespace}:{queue}", "type": "list"}
    return {"amqp": {**amqp, "bindingVersion": version}, "redis": {"x-purista": redis}}


def operation_bindings(action: Action, version: str) -> dict[str, Any]:
    """Return the ``bindings`` of an operation: persistent messages, acknowledged when done."""
    if action == "send":
        return {"amqp": {"deliveryMode": _PERSISTENT, "bindingVersion": version}}
    return {"amqp": {"ack": True, "bindingVersion": version}}


def message_bindings(version: str) -> dict[str, Any]:
    """Return the ``bindings`` of a message."""
    return {"amqp": {"contentEncoding": "utf-8", "bindingVersion": version}}
