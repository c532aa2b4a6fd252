"""The parts of ``purista.definitions.json`` that are read, as PURISTA 2.2 and 3 write them.

Handlers, subscriptions and commands are the other team's own; what they say of events is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from purista_celery.contracts.lifecycle import PoisonAction
from purista_celery.contracts.queue import Ordering
from purista_celery.contracts.results import Delivery
from purista_celery.errors import InvalidDefinitions
from purista_celery.messages.wire import WireModel, explain


class Backoff(WireModel):
    """``QueueRetryStrategy``."""

    initial_delay_ms: float = 1_000
    max_delay_ms: float = 120_000
    multiplier: float = 2
    jitter_factor: float = 0.25


class LifecycleConfig(WireModel):
    """``QueueLifecycleConfig``."""

    visibility_timeout_ms: float = 900_000
    max_lease_extensions: int = 3
    heartbeat_interval_ms: float = 300_000
    auto_heartbeat: bool = True
    retry_window_ms: float = 86_400_000
    max_attempts: int = 10
    retry_strategy: Backoff = Field(default_factory=Backoff)
    poison_message_failure_threshold: int = 0
    poison_message_action: PoisonAction = "none"


class Shutdown(WireModel):
    """What a long-running job is given when its worker stops."""

    grace_ms: float = 60_000


class ExecutionProfile(WireModel):
    """``QueueLongRunningExecutionProfile``."""

    name: Literal["longRunning"]
    max_runtime_ms: float
    strict: bool | None = None
    shutdown: Shutdown = Field(default_factory=Shutdown)
    on_lease_lost: Literal["abort", "ignore"] = "abort"


class ResultPolicy(WireModel):
    """``QueueResultPolicy``."""

    mode: Literal["none", "event", "state", "state-and-event"] = "event"
    success_event_name: str | None = None
    failure_event_name: str | None = None
    cancelled_event_name: str | None = None
    dead_letter_event_name: str | None = None
    progress_event_name: str | None = None
    delivery: Delivery = "best-effort"


class BridgeConfig(WireModel):
    """``DefinitionQueueBridgeConfig``."""

    ordering_guarantee: Ordering = "fifo"


class DeadLetter(WireModel):
    """Where dead letters are found."""

    queue_name: str | None = None


class QueueDefinition(WireModel):
    """``QueueDefinition``, and what only we write."""

    description: str = ""
    payload_schema: Any = None
    parameter_schema: Any = None
    output_schema: Any = None
    tags: tuple[str, ...] = ()
    deprecated: bool = False
    lifecycle: LifecycleConfig = Field(default_factory=LifecycleConfig)
    execution_profile: ExecutionProfile | None = None
    result_policy: ResultPolicy | None = None
    queue_bridge_config: BridgeConfig = Field(default_factory=BridgeConfig)
    dead_letter: DeadLetter = Field(default_factory=DeadLetter)
    priority: int | None = None
    max_parallel: int | None = None


class EventDefinition(WireModel):
    """A declared event: ours, for PURISTA has no list of them."""

    description: str = ""
    payload_schema: Any = None
    deprecated: bool = False
    tags: tuple[str, ...] = ()


class Exposed(WireModel):
    """What a command or subscription takes and returns."""

    input_payload: Any = None
    output_payload: Any = None


class Metadata(WireModel):
    """Where PURISTA keeps schemas of commands and subscriptions."""

    expose: Exposed = Field(default_factory=Exposed)


class Emitter(WireModel):
    """A command, subscription, stream or queue worker, as far as events go."""

    event_name: str | None = None
    emit_event_name: str | None = None
    emit_list: dict[str, Any] = Field(default_factory=dict)
    metadata: Metadata = Field(default_factory=Metadata)


class BindingDefinition(WireModel):
    """``EventToQueueBindingDefinition``."""

    event_name: str


class ScheduleDefinition(WireModel):
    """As much of a schedule as says what it emits."""

    target_kind: str
    target_name: str


class ServiceDefinition(WireModel):
    """One version of one service."""

    description: str = ""
    owner: str = ""
    commands: dict[str, Emitter] = Field(default_factory=dict)
    subscriptions: dict[str, Emitter] = Field(default_factory=dict)
    streams: dict[str, Emitter] = Field(default_factory=dict)
    queue_workers: dict[str, Emitter] = Field(default_factory=dict)
    queues: dict[str, QueueDefinition] = Field(default_factory=dict)
    events: dict[str, EventDefinition] = Field(default_factory=dict)
    schedules: dict[str, ScheduleDefinition] = Field(default_factory=dict)
    event_to_queue_bindings: tuple[BindingDefinition, ...] = ()

    def emitted(self) -> Iterator[tuple[str, Any]]:
        """Yield the events that this service emits, with the schema of each; None is unknown."""
        for command in self.commands.values():
            if command.event_name:
                yield command.event_name, command.metadata.expose.output_payload
        for subscription in self.subscriptions.values():
            if subscription.emit_event_name:
                yield subscription.emit_event_name, subscription.metadata.expose.output_payload
        groups = (self.commands, self.subscriptions, self.streams, self.queue_workers)
        for emitter in [emitter for group in groups for emitter in group.values()]:
            yield from emitter.emit_list.items()
        for schedule in self.schedules.values():
            if schedule.target_kind == "event":
                yield schedule.target_name, {"type": "null"}

    def heard(self) -> Iterator[tuple[str, Any]]:
        """Yield the events that this service listens to, as :meth:`emitted` does."""
        for subscription in self.subscriptions.values():
            if subscription.event_name:
                yield subscription.event_name, subscription.metadata.expose.input_payload
        for binding in self.event_to_queue_bindings:
            yield binding.event_name, None


def read(definitions: Any) -> dict[tuple[str, str], ServiceDefinition]:
    """Return the services of a ``purista.definitions.json``, decoded or its path, by their key.

    Raises:
        InvalidDefinitions: it is none.
    """
    if isinstance(definitions, str | PathLike):
        definitions = _decoded(Path(definitions))
    services = definitions.get("services") if isinstance(definitions, Mapping) else None
    if not isinstance(services, Mapping):
        raise InvalidDefinitions(
            'Definitions: expected an object with "services", as PURISTA\'s '
            "exportServiceDefinitions and 'purista export definitions' write it."
        )
    return {
        (str(name), str(version)): _service(f"{name} {version}", found)
        for name, versions in services.items()
        for version, found in (versions.items() if isinstance(versions, Mapping) else ())
    }


def _decoded(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidDefinitions(
            f"Definitions {path}: can not be read: {error}. Expected the path of a JSON file."
        ) from error


def _service(name: str, data: Any) -> ServiceDefinition:
    try:
        return ServiceDefinition.model_validate(data)
    except ValidationError as error:
        raise InvalidDefinitions(
            f"Definitions: service {name!r} can not be read: {explain(error)}."
        ) from error
