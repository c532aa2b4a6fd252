"""Which bridge an app's events travel by: as its settings choose, where the broker can."""

from __future__ import annotations

from purista_celery.endpoints import Endpoints
from purista_celery.errors import ConfigurationError
from purista_celery.producer.bridge import EventBridge, TopicBridge
from purista_celery.producer.purista_amqp import PuristaAmqpBridge
from purista_celery.settings import Settings


def bridge_of(settings: Settings, endpoints: Endpoints) -> EventBridge:
    """Return the bridge that ``settings`` choose.

    Raises:
        ConfigurationError: the broker has no such exchange.
    """
    if settings.event_bridge == "topic":
        return TopicBridge(settings.namespace)
    if endpoints.broker_is_redis:
        raise ConfigurationError(
            "PURISTA_EVENT_BRIDGE=purista-amqp needs RabbitMQ, for Redis has no headers exchange. "
            "Set PURISTA_BROKER_URL to amqp://…, or PURISTA_EVENT_BRIDGE to topic."
        )
    return PuristaAmqpBridge(settings.amqp_exchange, settings.amqp_prefix or settings.namespace)
