"""Who hears an event: a handler of its own (subscription), or another queue (binding)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from purista_celery.contracts.command import Command
from purista_celery.contracts.event import Event
from purista_celery.contracts.lifecycle import Lifecycle
from purista_celery.contracts.queue import Queue

IdempotencyMode = Literal["advisory", "strict"]


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Subscription:
    """A durable interest in an event (or in a topic pattern) with a handler of its own."""

    name: str
    #: Event name or topic pattern; the routing key that the durable queue is bound with.
    event_name: str
    payload: Any
    service_name: str
    service_version: str
    description: str = ""
    lifecycle: Lifecycle
    function: Callable[..., Any]
    #: How many arguments the handler takes: the event, and perhaps the job.
    arity: int = 1
    emits: tuple[Event[Any], ...] = ()
    enqueues: tuple[Queue[Any, Any, Any], ...] = ()
    invokes: tuple[Command[Any, Any, Any], ...] = ()

    @property
    def key(self) -> str:
        """``sub.<service>.<version>.<name>``: its job queue, and the stem of its broker queue."""
        return f"sub.{self.service_name}.{self.service_version}.{self.name}"


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Binding:
    """Hands each event to another queue, as zero or more jobs that a mapping function names."""

    event_name: str
    payload: Any
    queue: Queue[Any, Any, Any]
    service_name: str
    service_version: str
    idempotency: IdempotencyMode
    function: Callable[..., Any]
    lifecycle: Lifecycle

    @property
    def name(self) -> str:
        """PURISTA's name of the subscription that a binding compiles to."""
        return f"eventToQueue:{self.event_name}:{self.queue.name}"

    @property
    def key(self) -> str:
        """As :attr:`Subscription.key`."""
        return f"sub.{self.service_name}.{self.service_version}.{self.name}"
