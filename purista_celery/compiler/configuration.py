"""The Celery configuration that all our processes share."""

from __future__ import annotations

from typing import TypeVar

from celery import Celery
from celery.app.amqp import AMQP

from purista_celery.endpoints import Endpoints
from purista_celery.settings import Settings
from purista_celery.transport import connection_settings
from purista_celery.transport.rabbitmq import Connection

AppT = TypeVar("AppT", bound=Celery)


class Messaging(AMQP):
    """Celery's, with connections that know whether RabbitMQ blocks them."""

    Connection = Connection


def base_app(kind: type[AppT], name: str, settings: Settings, endpoints: Endpoints) -> AppT:
    """Return a Celery app that speaks JSON only, counts in UTC and keeps no results.

    It is not made Celery's current app, and nothing is connected yet.
    """
    app = kind(name, set_as_current=False, amqp=Messaging)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        enable_utc=True,
        timezone="UTC",
        task_ignore_result=True,
        # The ledger keeps results; this also keeps beat from adding ``celery.backend_cleanup``.
        result_expires=None,
        broker_connection_retry_on_startup=True,
        # Without a limit: a worker waits for its broker as long as it takes.
        broker_connection_max_retries=None,
        # Mandatory where an event must reach a subscription; see facts of RabbitMQ's confirms.
        task_publish_retry_policy={
            "max_retries": 3,
            "interval_start": 0.1,
            "interval_step": 0.3,
            "interval_max": 1,
        },
        **_broker(settings, endpoints),
    )
    return app


def _broker(settings: Settings, endpoints: Endpoints) -> dict[str, object]:
    # Without it a connection that the network has forgotten holds up a producer for ever, and a
    # worker too: Celery's event loop waits for the confirm of each of its monitoring events, and
    # checks no heartbeat meanwhile.
    timeout = settings.broker_timeout.total_seconds()
    if not endpoints.broker_is_redis:
        return {
            "broker_url": endpoints.broker_url,
            # A consumer timeout of RabbitMQ's closes the channel; that is no reason to end the
            # worker, because the ledger refuses the redelivery of a job that still runs.
            "broker_channel_error_retry": True,
            # A publish returns when RabbitMQ has the message, not when it was sent.
            "broker_transport_options": {
                "confirm_publish": True,
                "read_timeout": timeout,
                "write_timeout": timeout,
            },
        }
    return connection_settings(
        endpoints.broker_url,
        options={
            # A delivery belongs to a worker only while that worker says that it is alive; how
            # long a job may take is the ledger's lease.
            "visibility_timeout": settings.liveness_ttl.total_seconds(),
            "global_keyprefix": f"{settings.namespace}:",
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            # 9 first, as RabbitMQ has it; a job without a priority is in the plain list.
            "priority_highest_first": True,
        },
    )
