"""``compile_app``: services in, a plain ``celery.Celery`` out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery

from purista_celery import endpoints as where
from purista_celery.client import Client
from purista_celery.compiler import references, sizes
from purista_celery.compiler.configuration import base_app
from purista_celery.compiler.topology import Topology
from purista_celery.compiler.wiring import inboxes, wire
from purista_celery.contracts.queue import Queue
from purista_celery.contracts.service import Service
from purista_celery.ledger.connection import connect
from purista_celery.ledger.ledger import Ledger
from purista_celery.producer.bridges import bridge_of
from purista_celery.producer.events import EventPublisher
from purista_celery.producer.jobs import JobProducer
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime.execute import Executor
from purista_celery.runtime.reports import Reports
from purista_celery.runtime.resources import Resources
from purista_celery.runtime.runtime import Runtime
from purista_celery.runtime.settle import Settler
from purista_celery.runtime.task import JobTask
from purista_celery.runtime.worker import RuntimeStep
from purista_celery.settings import Settings


class CompiledApp(Celery):
    """A plain Celery app that knows its contracts."""

    purista: Client
    purista_runtime: Runtime


def compile_app(services: Sequence[Service], settings: Settings | None = None) -> CompiledApp:
    """Compile ``services`` to a Celery app: run it with ``celery worker``, watch it with Flower.

    Args:
        services: all whose contracts refer to each other.
        settings: ``PURISTA_*`` of the environment by default.

    Returns:
        The app. ``app.purista`` is its :class:`~purista_celery.Client`.

    Raises:
        ContractError: the contracts do not fit each other.
        ConfigurationError: the settings do not fit.
    """
    settings = settings or Settings.from_environment()
    references.check(services)
    sizes.check(services, settings)
    endpoints = where.resolve(settings)
    bridge = bridge_of(settings, endpoints)
    topology = Topology(settings.namespace, quorum=not endpoints.broker_is_redis, bridge=bridge)
    wiring = wire(services, topology, settings.max_payload)
    app = base_app(CompiledApp, "purista", settings, endpoints)
    inbox_queues = inboxes(wiring, topology)
    redis = connect(endpoints.ledger_url, settings.ledger_timeout)
    ledger = Ledger(redis, settings.namespace, settings.result_ttl)
    producer = JobProducer(app, wiring, ledger)
    publisher = EventPublisher(app, bridge, tuple(inbox_queues.values()))
    resources = {s.name: Resources(s.name, s.resources) for s in services}
    settler = Settler(wiring, ledger)
    hasty = Ledger(
        connect(endpoints.ledger_url, hasty=True), settings.namespace, settings.result_ttl
    )
    executor = Executor(
        wiring=wiring,
        ledger=ledger,
        settler=settler,
        producer=producer,
        publisher=publisher,
        reports=Reports(hasty, publisher),
        resources=resources,
    )
    runtime = Runtime(
        app=app,
        services=tuple(services),
        settings=settings,
        wiring=wiring,
        ledger=ledger,
        producer=producer,
        publisher=publisher,
        settler=settler,
        executor=executor,
        resources=resources,
        inboxes=inbox_queues,
    )
    app.conf.update(
        # What a worker consumes from without -Q.
        task_queues=[
            topology.default_queue(),
            *(topology.job_queue(queue.name) for queue in runtime.served),
        ],
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_consumer="purista_celery.runtime.consumer:Consumer",
        # A lost connection is no reason to end a job: its lease is the ledger's.
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )
    for queue in wiring.queues.values():
        if queue.worker is None:
            # To be published to, and declared as those who consume from it declare it.
            app.amqp.queues.add(topology.job_queue(queue.name))
    for queue in runtime.served:
        app.register_task(_task(queue, executor))
    steps: Any = app.steps
    steps["worker"].add(RuntimeStep)
    app.purista_runtime = runtime
    app.purista = Client(app)
    return app


def _task(queue: JobQueue, executor: Executor) -> JobTask:
    attributes: dict[str, Any] = {
        "name": queue.name,
        "executor": executor,
        "__module__": "purista_celery.runtime.task",
        "__doc__": queue.contract.description if isinstance(queue.contract, Queue) else None,
    }
    profile = queue.declared.profile if queue.declared else None
    if profile is not None:
        attributes |= {
            "soft_time_limit": profile.max_runtime.total_seconds(),
            "time_limit": profile.hard_limit.total_seconds(),
        }
    kind = type("CompiledJobTask", (JobTask,), attributes)
    task: JobTask = kind()
    return task
