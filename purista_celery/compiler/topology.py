"""Contracts -> Kombu: which broker queues there are, and what they are bound to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kombu.entity import Exchange, Queue

from purista_celery.messages.addresses import job_queue_name
from purista_celery.producer.bridge import EventBridge, TopicBridge

#: What RabbitMQ is told at the least to wait for an acknowledgement; its own default.
_LEAST_CONSUMER_TIMEOUT = timedelta(minutes=30)

_NO_LIMIT = 2**31 - 1


class Topology:
    """Names and Kombu objects of one namespace on one kind of broker."""

    def __init__(self, namespace: str, *, quorum: bool, bridge: EventBridge | None = None) -> None:
        self.namespace = namespace
        self._bridge = bridge or TopicBridge(namespace)
        self.events = self._bridge.exchange
        self._quorum = quorum

    def job_queue_name(self, queue: str) -> str:
        """Return the broker queue that a queue's jobs travel through."""
        return job_queue_name(self.namespace, queue)

    def job_queue(self, queue: str, longest_hold: timedelta) -> Queue:
        """Return the broker queue of a queue's jobs."""
        name = self.job_queue_name(queue)
        return Queue(
            name,
            Exchange("", type="direct"),
            routing_key=name,
            durable=True,
            queue_arguments=self._arguments(longest_hold),
        )

    def inbox(self, key: str, event_name: str) -> Queue:
        """Return the durable broker queue in which a subscription's events wait for the router."""
        return self._bridge.inbox(key, event_name, self._arguments(timedelta(0)))

    def _arguments(self, longest_hold: timedelta) -> dict[str, Any]:
        if not self._quorum:
            return {}
        # Honoured from RabbitMQ 3.12 on, accepted and ignored before.
        timeout = max(longest_hold * 2, _LEAST_CONSUMER_TIMEOUT)
        return {
            "x-queue-type": "quorum",
            # RabbitMQ 4 drops a message after 20 redeliveries unless it is told otherwise. Counting
            # attempts is the ledger's; what goes back to the queue here is never to be dropped.
            "x-delivery-limit": _NO_LIMIT,
            "x-consumer-timeout": round(timeout / timedelta(milliseconds=1)),
        }
