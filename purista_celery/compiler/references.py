"""Checks that only all services together allow: does each contract point at one that exists?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from purista_celery.contracts import names
from purista_celery.contracts.endpoints import endpoints
from purista_celery.contracts.schedule import Schedule
from purista_celery.contracts.service import Service
from purista_celery.contracts.subscription import Subscription
from purista_celery.contracts.worker import Worker
from purista_celery.errors import (
    DuplicateName,
    UnknownReference,
    UnsupportedConcurrency,
)


def check(services: Sequence[Service]) -> None:
    """Check what ``services`` declare against each other.

    Raises:
        DuplicateName: two of them declare the same service, event or queue.
        UnknownReference: one subscribes to, binds or uses what none of them declares.
        UnsupportedConcurrency: a schedule must not overlap itself, and nobody here runs its jobs.
        UnsupportedPayload: a schedule emits an event that wants a payload.
        InvalidEndpoint: an HTTP endpoint does not fit its contract, or is declared twice.
    """
    _distinct("service", [f"{s.name} version {s.version}" for s in services])
    _distinct("queue", [name for s in services for name in s.queues])
    _distinct("event", [name for s in services for name in s.events])
    endpoints(services)
    _distinct("subscription", [h.key for s in services for h in s.subscriptions.values()])
    commands = {id(command) for s in services for command in s.commands.values()}
    queues = {id(queue) for s in services for queue in s.queues.values()}
    queue_names = {name for s in services for name in s.queues}
    events = {name: event for s in services for name, event in s.events.items()}
    for service in services:
        for binding in service.bindings.values():
            where = f"Binding {binding.name!r} of service {service.name!r}"
            _known(where, "event", binding.event_name, binding.event_name in events)
            _known(where, "queue", binding.queue.name, id(binding.queue) in queues)
        users: list[Worker | Subscription] = [
            *service.workers.values(),
            *service.subscriptions.values(),
        ]
        for user in users:
            where = f"{type(user).__name__} {user.name!r} of service {service.name!r}"
            for event in user.emits:
                _known(where, "event", event.name, event.name in events)
            for queue in user.enqueues:
                _known(where, "queue", queue.name, id(queue) in queues)
            for command in user.invokes:
                _known(where, "command", command.name, id(command) in commands)
        for schedule in service.schedules.values():
            where = f"Schedule {schedule.name!r} of service {service.name!r}"
            kind, target = schedule.target_kind, schedule.target_name
            targets = {"event": events, "queue": queue_names, "command": service.commands}[kind]
            _known(where, kind, target, target in targets)
            _heard(where, schedule, services)
            if kind == "event":
                events[target].require_empty(where)


def _heard(where: str, schedule: Schedule, services: Sequence[Service]) -> None:
    if schedule.concurrency == "allow" or schedule.target_kind != "event":
        return
    heard = [h.event_name for s in services for h in s.subscriptions.values()]
    heard += [h.event_name for s in services for h in s.bindings.values()]
    if schedule.target_name not in heard and not any(map(names.is_pattern, heard)):
        raise UnsupportedConcurrency(
            f"{where}: concurrency {schedule.concurrency!r} counts the jobs that its event leads "
            f"to, and none of the compiled services subscribes to {schedule.target_name!r} or "
            f"binds it to a queue. Add the service that does to compile_app([…]), or use 'allow'."
        )


def _known(where: str, kind: str, name: str, known: Any) -> None:
    if not known:
        raise UnknownReference(
            f"{where} uses {kind} {name!r}, which none of the compiled services declares. Declare "
            f"it, or add the service that does to compile_app([…])."
        )


def _distinct(kind: str, found: Sequence[str]) -> None:
    for name in found:
        if found.count(name) > 1:
            raise DuplicateName(f"Two services declare {kind} {name!r}; rename one of them.")
