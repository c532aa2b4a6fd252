"""``purista.definitions.json``: all that services declare, as PURISTA exports it.

Field for field PURISTA's ``exportServiceDefinitions``; what it has no field for stands beside
(``owner``, ``events``, ``outputSchema``, ``priority``, ``maxParallel``, a subscription's
``lifecycle``), which its tools skip. Schemas are JSON Schema with references inlined, because those
tools copy them into other documents.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from purista_celery.contracts.event import Event
from purista_celery.contracts.queue import Queue
from purista_celery.contracts.service import Service
from purista_celery.contracts.subscription import Binding
from purista_celery.exports import definitions_handlers as handlers
from purista_celery.exports.document import given, ordered, puristas_version
from purista_celery.exports.manifest import write_entry
from purista_celery.exports.policies import execution_profile, lifecycle, result_policy
from purista_celery.exports.schemas import event_schema, queue_schemas, readable


def definitions(services: Iterable[Service]) -> dict[str, Any]:
    """Return the definitions of ``services``."""
    found: dict[str, dict[str, Any]] = {}
    for service in services:
        found.setdefault(service.name, {})[service.version] = _service(service)
    return dict(ordered({"version": puristas_version(), "services": found}))


def _service(service: Service) -> dict[str, Any]:
    bindings = sorted(service.bindings.values(), key=lambda binding: binding.name)
    return {
        "description": service.description,
        "owner": service.owner,
        "deprecated": False,
        "commands": handlers.commands(service),
        "subscriptions": {
            name: handlers.subscription(found) for name, found in service.subscriptions.items()
        },
        "streams": {},
        "events": {name: _event(found) for name, found in service.events.items()},
        "queues": {name: _queue(found) for name, found in service.queues.items()},
        "queueWorkers": handlers.workers(service),
        "schedules": {name: write_entry(found) for name, found in service.schedules.items()},
        "eventToQueueBindings": [_binding(found) for found in bindings],
    }


def _event(event: Event[Any]) -> dict[str, Any]:
    return {
        "eventName": event.name,
        "description": event.description,
        "payloadSchema": readable(event_schema(event)),
        "tags": list(event.tags),
        "deprecated": event.deprecated,
    }


def _queue(queue: Queue[Any, Any, Any]) -> dict[str, Any]:
    schemas = queue_schemas(queue)
    return given(
        queueName=queue.name,
        description=queue.description,
        payloadSchema=readable(schemas["payload"]),
        parameterSchema=readable(schemas["parameter"]),
        outputSchema=readable(schemas["output"]),
        lifecycle=lifecycle(queue.lifecycle),
        executionProfile=execution_profile(queue.profile),
        resultPolicy=result_policy(queue),
        # Those that fire it are the service's, where PURISTA collects them too.
        schedules=[],
        tags=list(queue.tags),
        deprecated=queue.deprecated,
        queueBridgeConfig={"orderingGuarantee": queue.ordering, "prefetch": queue.prefetch},
        workers=[],
        deadLetter={"queueName": queue.dead_letter} if queue.dead_letter else None,
        priority=queue.priority,
        maxParallel=queue.max_parallel,
    )


def _binding(binding: Binding) -> dict[str, Any]:
    # Keys and mappings are functions, which have no form in JSON.
    return {
        "eventName": binding.event_name,
        "queueName": binding.queue.name,
        "idempotencyMode": binding.idempotency,
    }
