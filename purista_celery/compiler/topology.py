"""Contracts -> Kombu: which broker queues there are, and what they are bound to."""

from __future__ import annotations

from kombu.entity import Queue

from purista_celery.messages.addresses import default_queue_name, job_queue_name
from purista_celery.producer.bridge import EventBridge, TopicBridge
from purista_celery.producer.declaring import direct_queue, queue_arguments


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

    def job_queue(self, queue: str) -> Queue:
        """Return the broker queue of a queue's jobs."""
        return direct_queue(self.job_queue_name(queue), quorum=self._quorum)

    def default_queue(self) -> Queue:
        """Return the broker queue for tasks that are none of ours."""
        return direct_queue(default_queue_name(self.namespace), quorum=self._quorum)

    def inbox(self, key: str, event_name: str) -> Queue:
        """Return the durable broker queue in which a subscription's events wait for the router."""
        return self._bridge.inbox(key, event_name, queue_arguments(quorum=self._quorum))
