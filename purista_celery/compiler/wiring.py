"""Contracts -> wiring: declared queues, and the queues that subscriptions and bindings are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kombu.entity import Queue as BrokerQueue

from purista_celery.compiler.topology import Topology
from purista_celery.contracts.service import Service
from purista_celery.contracts.subscription import Binding, Subscription
from purista_celery.contracts.worker import Worker
from purista_celery.producer.wiring import JobQueue, Wiring


def wire(services: Sequence[Service], topology: Topology, max_payload: int) -> Wiring:
    """Return what a process needs to know of ``services``."""
    return Wiring(
        namespace=topology.namespace,
        max_payload=max_payload,
        queues={queue.name: queue for queue in _queues(services, topology)},
        schedules={
            schedule.key: schedule
            for service in services
            for schedule in service.schedules.values()
        },
    )


def inboxes(wiring: Wiring, topology: Topology) -> Mapping[str, BrokerQueue]:
    """Return the broker queue of each subscription and binding, by its job queue."""
    return {
        queue.name: topology.inbox(queue.name, queue.contract.event_name)
        for queue in wiring.queues.values()
        if isinstance(queue.contract, Subscription | Binding)
    }


def _queues(services: Sequence[Service], topology: Topology) -> Iterator[JobQueue]:
    for service in services:
        for queue in service.queues.values():
            yield JobQueue(
                name=queue.name,
                broker_name=topology.job_queue_name(queue.name),
                lifecycle=queue.lifecycle,
                contract=queue,
                worker=next(
                    (s.workers[queue.name] for s in services if queue.name in s.workers), None
                ),
            )
        for command in service.commands.values():
            yield JobQueue(
                name=command.queue.name,
                broker_name=topology.job_queue_name(command.queue.name),
                lifecycle=command.queue.lifecycle,
                contract=command.queue,
                worker=service.workers.get(command.queue.name),
            )
        hearers: list[Subscription | Binding] = [
            *service.subscriptions.values(),
            *service.bindings.values(),
        ]
        for contract in hearers:
            yield JobQueue(
                name=contract.key,
                broker_name=topology.job_queue_name(contract.key),
                lifecycle=contract.lifecycle,
                contract=contract,
                worker=_worker(contract),
                inbox=topology.inbox(contract.key, contract.event_name).name,
                heard_payloads=_heard_payloads(contract, services),
            )


def _heard_payloads(
    contract: Subscription | Binding, services: Sequence[Service]
) -> tuple[Any, ...]:
    if contract.payload is not Any:
        return (contract.payload,)
    # A pattern, or a name as text: it may be any of these.
    return tuple(event.payload for service in services for event in service.events.values())


def _worker(contract: Subscription | Binding) -> Worker:
    if isinstance(contract, Subscription):
        return Worker(
            name=contract.name,
            queue_name=contract.key,
            function=contract.function,
            emits=contract.emits,
            enqueues=contract.enqueues,
            invokes=contract.invokes,
        )
    return Worker(
        name=contract.name,
        queue_name=contract.key,
        function=contract.function,
        enqueues=(contract.queue,),
    )
