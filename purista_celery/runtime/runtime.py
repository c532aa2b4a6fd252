"""All that a worker process needs besides Celery, in one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kombu.entity import Queue as BrokerQueue

from purista_celery.contracts.service import Service
from purista_celery.ledger.ledger import Ledger
from purista_celery.producer.events import EventPublisher
from purista_celery.producer.jobs import JobProducer
from purista_celery.producer.wiring import JobQueue, Wiring
from purista_celery.runtime.execute import Executor
from purista_celery.runtime.fence import FenceMint
from purista_celery.runtime.resources import Resources
from purista_celery.runtime.settle import Settler
from purista_celery.runtime.unheard import Unheard
from purista_celery.settings import Settings

if TYPE_CHECKING:
    from celery import Celery


def runtime_of(app: Any) -> Runtime:
    """Return the runtime of a compiled app."""
    runtime: Runtime = app.purista_runtime
    return runtime


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Made by ``compile_app``, found as ``app.purista_runtime``."""

    app: Celery
    services: tuple[Service, ...]
    settings: Settings
    wiring: Wiring
    ledger: Ledger
    producer: JobProducer
    publisher: EventPublisher
    settler: Settler
    executor: Executor
    resources: Mapping[str, Resources]
    #: Broker queues of subscriptions and bindings, by the job queue that their events go to.
    inboxes: Mapping[str, BrokerQueue]
    fences: FenceMint = field(default_factory=FenceMint)
    unheard: Unheard = field(default_factory=Unheard)

    @property
    def served(self) -> list[JobQueue]:
        """The queues that workers of this app run."""
        return [queue for queue in self.wiring.queues.values() if queue.worker is not None]

    def by_broker_name(self, name: str) -> JobQueue | None:
        """Return the queue whose jobs travel through broker queue ``name``."""
        return self._by_broker_name.get(name)

    @cached_property
    def _by_broker_name(self) -> Mapping[str, JobQueue]:
        return {queue.broker_name: queue for queue in self.wiring.queues.values()}
