"""A worker: the function that serves a queue, with the edges that it declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from purista_celery.contracts.command import Command
    from purista_celery.contracts.event import Event
    from purista_celery.contracts.queue import Queue

WorkerMode = Literal["continuous", "interval", "sequential"]

#: PURISTA's poll interval of mode ``interval``.
DEFAULT_INTERVAL = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """A declared worker."""

    name: str
    queue_name: str
    function: Callable[..., Any]
    #: Events that the handler may emit.
    emits: tuple[Event[Any], ...] = ()
    #: Queues that the handler may enqueue on.
    enqueues: tuple[Queue[Any, Any, Any], ...] = ()
    #: Commands that the handler may invoke.
    invokes: tuple[Command[Any, Any, Any], ...] = ()
    mode: WorkerMode = "continuous"
    #: Of mode ``interval``; :data:`DEFAULT_INTERVAL` otherwise.
    interval: timedelta | None = None
