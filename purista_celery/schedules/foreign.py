"""What beat hands over to: queues that it knows by name alone, for it sees no contract."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import redis

from purista_celery.contracts.lifecycle import Lifecycle
from purista_celery.contracts.queue import Queue, QueueResults
from purista_celery.contracts.schedule import Schedule
from purista_celery.ledger.ledger import Ledger
from purista_celery.messages.addresses import job_queue_name
from purista_celery.producer.amqp import speaks_amqp
from purista_celery.producer.bridge import TopicBridge
from purista_celery.producer.declaring import direct_queue
from purista_celery.producer.events import EventPublisher
from purista_celery.producer.jobs import JobProducer
from purista_celery.producer.wiring import JobQueue, Wiring
from purista_celery.schedules.outlet import Outlet

if TYPE_CHECKING:
    from celery import Celery

#: How long the record of a job is kept that is cancelled because its schedule replaces it.
RESULT_TTL = timedelta(days=1)


def foreign_outlet(app: Celery, client: redis.Redis, namespace: str, instance_id: str) -> Outlet:
    """Return the outlet of a process that knows no contracts."""
    ledger = Ledger(client, namespace, RESULT_TTL)
    wiring = Wiring(namespace=namespace, queues={}, instance_id=instance_id)

    def queue_of(schedule: Schedule) -> JobQueue:
        return _known_by_name(app, namespace, schedule)

    return Outlet(
        publisher=EventPublisher(
            app, app.conf.get("purista_event_bridge") or TopicBridge(namespace)
        ),
        jobs=JobProducer(app, wiring, ledger),
        ledger=ledger,
        queue_of=queue_of,
        instance_id=instance_id,
    )


def _known_by_name(app: Celery, namespace: str, schedule: Schedule) -> JobQueue:
    name = job_queue_name(namespace, schedule.queue_name)
    if name not in app.amqp.queues:
        # Whoever comes first declares it, and all in the same way.
        app.amqp.queues.add(direct_queue(name, quorum=speaks_amqp(app.connection_for_write())))
    lifecycle = Lifecycle()
    contract: Queue[Any, Any, Any] = Queue(
        name=schedule.queue_name,
        payload=Any,
        parameter=Any,
        output=Any,
        service_name=schedule.service_name,
        # Not the version of the queue's service, which beat does not know.
        service_version="",
        lifecycle=lifecycle,
        results=QueueResults(queue_name=schedule.queue_name, policy=None),
        declare_worker=lambda _: None,
    )
    return JobQueue(
        name=contract.name, broker_name=name, lifecycle=lifecycle, contract=contract, worker=None
    )
