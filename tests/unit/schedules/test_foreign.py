"""Beat hands over to queues that it knows by name alone."""

from __future__ import annotations

from collections.abc import Callable

import redis
from celery import Celery

from purista_celery import Settings
from purista_celery.compiler.configuration import base_app
from purista_celery.compiler.topology import Topology
from purista_celery.contracts.schedule import Schedule
from purista_celery.endpoints import Endpoints
from purista_celery.schedules.foreign import foreign_outlet

Make = Callable[..., Schedule]
LEDGER = "redis://127.0.0.1:1/0"


def test_such_a_queue_is_declared_as_its_workers_declare_it(schedule: Make) -> None:
    """So that either may be the first, and neither is refused."""
    for url in ("amqp://127.0.0.1:1//", LEDGER):
        app = base_app(
            Celery,
            "beat",
            Settings(broker_url=url, ledger_url=LEDGER, namespace="acme"),
            Endpoints(url, LEDGER),
        )
        outlet = foreign_outlet(app, redis.Redis.from_url(LEDGER), "acme", "i")
        queue = outlet.queue_of(schedule(target_kind="queue", target_name="orders"))

        declared = app.amqp.queues[queue.broker_name]
        theirs = Topology("acme", quorum=url != LEDGER).job_queue("orders")
        assert declared == theirs
        assert not declared.no_declare
        assert queue.broker_name not in app.amqp.queues.consume_from
