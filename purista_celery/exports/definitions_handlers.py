"""What handlers declare, as PURISTA's definitions write it: commands, subscriptions, workers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from purista_celery.contracts.command import Command
from purista_celery.contracts.event import Event
from purista_celery.contracts.expression import milliseconds
from purista_celery.contracts.http import Http
from purista_celery.contracts.json_schema import JsonSchema
from purista_celery.contracts.queue import Queue
from purista_celery.contracts.service import Service
from purista_celery.contracts.subscription import Subscription
from purista_celery.contracts.types import adapter_of
from purista_celery.contracts.worker import Worker
from purista_celery.exports.document import given
from purista_celery.exports.policies import lifecycle
from purista_celery.exports.schemas import alone, event_schema, queue_schemas, readable

#: Ours are kept until they are done, and each is done by one process.
_BRIDGE = {"autoacknowledge": False, "durable": True, "shared": True}
_REQUEST = {"contentTypeRequest": "application/json", "contentEncodingRequest": "utf-8"}
_RESPONSE = {"contentTypeResponse": "application/json", "contentEncodingResponse": "utf-8"}


def workers(service: Service) -> dict[str, Any]:
    """Return the service's ``queueWorkers`` by name."""
    found: dict[str, Any] = {}
    for queue in sorted(service.queues.keys() & service.workers.keys()):
        worker = service.workers[queue]
        # Two queues' functions may have one name; PURISTA would forget the first.
        name = worker.name if worker.name not in found else f"{queue}:{worker.name}"
        found[name] = _worker(name, worker, service.queues[queue])
    return found


def commands(service: Service) -> dict[str, Any]:
    """Return the service's ``commands`` by name."""
    return {
        name: _command(command, service.workers.get(command.queue.name))
        for name, command in service.commands.items()
    }


def subscription(subscription: Subscription) -> dict[str, Any]:
    """Return PURISTA's ``SubscriptionDefinition``."""
    where = f"Subscription {subscription.name!r}"
    payload = alone(where, adapter_of(subscription.payload), "validation")
    return {
        "subscriptionName": subscription.name,
        "subscriptionDescription": subscription.description,
        "eventName": subscription.event_name,
        "metadata": {"expose": {**_REQUEST, "inputPayload": readable(payload)}},
        "eventBridgeConfig": _BRIDGE,
        "lifecycle": lifecycle(subscription.lifecycle),
        "hooks": {},
        "deprecated": False,
        **_edges(subscription.emits, subscription.enqueues, subscription.invokes),
    }


def _worker(name: str, worker: Worker, queue: Queue[Any, Any, Any]) -> dict[str, Any]:
    return given(
        name=name,
        queueName=worker.queue_name,
        mode=worker.mode,
        intervalMs=milliseconds(worker.interval),
        maxParallelHandlers=queue.max_parallel or 1,
        agentInvokes=[],
        **_edges(worker.emits, worker.enqueues, worker.invokes),
    )


def _command(command: Command[Any, Any, Any], worker: Worker | None) -> dict[str, Any]:
    schemas = queue_schemas(command.queue)
    exposed = given(
        **_REQUEST,
        **_RESPONSE,
        inputPayload=readable(schemas["payload"]),
        parameter=readable(schemas["parameter"]),
        outputPayload=readable(schemas["output"]),
        deprecated=command.deprecated,
        http=None if command.http is None else _http(command.http, command),
    )
    edges = (worker.emits, worker.enqueues, worker.invokes) if worker else ((), (), ())
    return {
        "commandName": command.name,
        "commandDescription": command.description,
        "metadata": {"expose": exposed},
        "eventBridgeConfig": _BRIDGE,
        "schedules": [],
        "hooks": {},
        "tags": list(command.tags),
        "timeoutMs": milliseconds(command.timeout),
        **_edges(*edges),
    }


def _http(http: Http, command: Command[Any, Any, Any]) -> dict[str, Any]:
    return {
        "method": http.method,
        "path": http.path.removeprefix("/"),
        "mode": "sync" if http.mode == "sync" else "async",
        "openApi": {
            "isSecure": http.security != "public",
            "description": command.description,
            "summary": http.summary or command.description,
            "tags": list(command.tags),
        },
    }


def _edges(
    emits: Iterable[Event[Any]],
    enqueues: Iterable[Queue[Any, Any, Any]],
    invokes: Iterable[Command[Any, Any, Any]],
) -> dict[str, Any]:
    invoked: dict[str, dict[str, dict[str, Any]]] = {}
    for command in invokes:
        versions = invoked.setdefault(command.service_name, {})
        schemas = _schemas(command.queue, ("payload", "parameter", "output"))
        versions.setdefault(command.service_version, {})[command.name] = schemas
    return {
        "invokes": invoked,
        "streamInvokes": {},
        "emitList": {event.name: readable(event_schema(event)) for event in emits},
        "queueInvokes": {
            queue.name: _schemas(queue, ("payload", "parameter")) for queue in enqueues
        },
    }


def _schemas(queue: Queue[Any, Any, Any], parts: Iterable[str]) -> dict[str, JsonSchema]:
    schemas = queue_schemas(queue)
    return {f"{part}Schema": readable(schemas[part]) for part in parts}
