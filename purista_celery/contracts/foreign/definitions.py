"""``purista.definitions.json`` -> services whose queues and events Python workers can serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from purista_celery.contracts import names
from purista_celery.contracts.foreign import document
from purista_celery.contracts.foreign.document import (
    EventDefinition,
    QueueDefinition,
    ResultPolicy,
    ServiceDefinition,
    read,
)
from purista_celery.contracts.foreign.schema_type import type_of
from purista_celery.contracts.lifecycle import FITTING, Lifecycle, LongRunning, RetryStrategy
from purista_celery.contracts.results import ResultEvents
from purista_celery.errors import UnknownReference

if TYPE_CHECKING:
    from purista_celery.contracts.service import Service

#: A service's name and version.
Key = tuple[str, str]

_MILLISECOND = timedelta(milliseconds=1)


def services_of(definitions: Any, make: type[Service]) -> list[Service]:
    """Return all services of a definitions document, sorted by name and version.

    Each has its queues and events; an event that nobody in the document emits is its hearer's.
    Schedules are fired, subscriptions and bindings served, by the team that declared them.

    Args:
        definitions: the decoded JSON, or the path of its file.
        make: :class:`~purista_celery.Service`.

    Raises:
        InvalidDefinitions: it can not be read.
        ContractError: a contract in it is none that this version can keep.
    """
    found = read(definitions)
    owners = _owners(found)
    services = []
    for key, definition in sorted(found.items()):
        name, version = key
        service = make(
            name, version=version, description=definition.description, owner=definition.owner
        )
        for queue_name, queue in sorted(definition.queues.items()):
            _declare_queue(service, queue_name, queue)
        for event_name in sorted(owners):
            if owners[event_name] == key:
                _declare_event(service, event_name, definition)
        services.append(service)
    return services


def service_of(
    definitions: Any, make: type[Service], name: str | None, version: str | None
) -> Service:
    """Return the one service of a definitions document that ``name`` and ``version`` choose.

    Raises:
        UnknownReference: they choose none, or several.
    """
    services = services_of(definitions, make)
    chosen = [s for s in services if name in (None, s.name) and version in (None, s.version)]
    if len(chosen) == 1:
        return chosen[0]
    known = ", ".join(f"{service.name} {service.version}" for service in services) or "none"
    wanted = " ".join(filter(None, (name, version))) or "the only one"
    raise UnknownReference(
        f"Definitions: expected one service for {wanted!r}, found {len(chosen)}; there are: "
        f"{known}. Give name and version."
    )


def _declare_queue(service: Service, name: str, queue: QueueDefinition) -> None:
    where = f"Queue {name!r}"
    service.queue(
        name,
        payload=type_of(f"{where}: payloadSchema", queue.payload_schema, f"{name}_payload"),
        parameter=type_of(f"{where}: parameterSchema", queue.parameter_schema, f"{name}_parameter"),
        output=type_of(f"{where}: outputSchema", queue.output_schema, f"{name}_output"),
        description=queue.description,
        lifecycle=_lifecycle(queue.lifecycle),
        profile=_profile(queue),
        results=_results(queue.result_policy),
        dead_letter=queue.dead_letter.queue_name,
        ordering=queue.queue_bridge_config.ordering_guarantee,
        priority=queue.priority,
        max_parallel=queue.max_parallel,
        deprecated=queue.deprecated,
        tags=queue.tags,
    )


def _owners(found: Mapping[Key, ServiceDefinition]) -> dict[str, Key]:
    """Return which service declares each event: one, whoever else emits or hears it."""
    owners: dict[str, Key] = {}
    for named in (_declared, ServiceDefinition.emitted, ServiceDefinition.heard):
        for key, definition in sorted(found.items()):
            for name, _ in named(definition):
                if not names.is_pattern(name):
                    owners.setdefault(name, key)
    return owners


def _declared(definition: ServiceDefinition) -> Iterator[tuple[str, Any]]:
    yield from definition.events.items()
    for queue in definition.queues.values():
        results = _results(queue.result_policy)
        for name in filter(None, results.names().values() if results else ()):
            yield name, None


def _declare_event(service: Service, name: str, definition: ServiceDefinition) -> None:
    if name in service.events:
        return  # a result event, which its queue has declared
    event = definition.events.get(name)
    if event is None:
        schemas = [s for n, s in (*definition.emitted(), *definition.heard()) if n == name]
        known = next((schema for schema in schemas if schema is not None), None)
        event = EventDefinition(payload_schema=known)
    service.event(
        name,
        payload=type_of(f"Event {name!r}: payloadSchema", event.payload_schema, f"{name}_event"),
        description=event.description,
        deprecated=event.deprecated,
        tags=event.tags,
    )


def _lifecycle(config: document.LifecycleConfig) -> Lifecycle:
    lease = config.visibility_timeout_ms
    heartbeat = config.heartbeat_interval_ms
    backoff = config.retry_strategy
    return Lifecycle(
        visibility_timeout=lease * _MILLISECOND,
        max_lease_extensions=config.max_lease_extensions,
        # PURISTA merges a short lease with its long default interval, and would renew too late.
        heartbeat_interval=(heartbeat if heartbeat <= lease / 2 else lease / 3) * _MILLISECOND,
        auto_heartbeat=config.auto_heartbeat,
        retry_window=config.retry_window_ms * _MILLISECOND,
        max_attempts=config.max_attempts,
        retry_strategy=RetryStrategy(
            initial_delay=backoff.initial_delay_ms * _MILLISECOND,
            max_delay=backoff.max_delay_ms * _MILLISECOND,
            multiplier=backoff.multiplier,
            jitter_factor=backoff.jitter_factor,
        ),
        poison_message_failure_threshold=config.poison_message_failure_threshold,
        poison_message_action=config.poison_message_action,
    )


def _profile(queue: QueueDefinition) -> LongRunning | None:
    profile = queue.execution_profile
    if profile is None:
        return None
    lifecycle = _lifecycle(queue.lifecycle)
    max_runtime = profile.max_runtime_ms * _MILLISECOND
    # PURISTA's profile has its lease of five minutes also for a job that may take one.
    fits = lifecycle.visibility_timeout <= max_runtime
    return LongRunning(
        max_runtime=max_runtime,
        strict=bool(profile.strict),
        visibility_timeout=lifecycle.visibility_timeout if fits else FITTING,
        heartbeat_interval=lifecycle.heartbeat_interval if fits else FITTING,
        max_attempts=lifecycle.max_attempts,
        retry_strategy=lifecycle.retry_strategy,
        shutdown_grace=profile.shutdown.grace_ms * _MILLISECOND,
        on_lease_lost=profile.on_lease_lost,
    )


def _results(policy: ResultPolicy | None) -> ResultEvents | None:
    if policy is None or policy.mode in ("none", "state"):
        return None
    given = {
        "success": policy.success_event_name,
        "failure": policy.failure_event_name,
        "cancelled": policy.cancelled_event_name,
        "dead_letter": policy.dead_letter_event_name,
        "progress": policy.progress_event_name,
    }
    if not any(given.values()):
        return None
    return ResultEvents(**given, delivery=policy.delivery)
