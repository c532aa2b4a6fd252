"""A command: asked of a service by name, and answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, Generic, TypeVar

from purista_celery.contracts import handler
from purista_celery.contracts.event import Event
from purista_celery.contracts.governance import Governance, Link
from purista_celery.contracts.http import Http
from purista_celery.contracts.job import Job
from purista_celery.contracts.lifecycle import Lifecycle
from purista_celery.contracts.queue import Queue, QueueResults
from purista_celery.contracts.worker import Worker
from purista_celery.errors import ContractError

PayloadT = TypeVar("PayloadT")
ParameterT = TypeVar("ParameterT")
OutputT = TypeVar("OutputT")

#: A command's jobs are tried once: whoever asked is told, and decides.
_LIFECYCLE = Lifecycle(
    visibility_timeout=timedelta(minutes=1),
    heartbeat_interval=timedelta(seconds=15),
    max_lease_extensions=59,
    max_attempts=1,
)


#: How long an invocation waits.
DEFAULT_TIMEOUT = timedelta(seconds=30)


class CommandOptions(Governance, total=False):
    """What :meth:`Service.command` takes besides the three types."""

    description: str
    #: How long whoever invokes it waits, unless it says otherwise.
    timeout: timedelta
    #: How it is offered over HTTP, if it is.
    http: Http | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Command(Generic[PayloadT, ParameterT, OutputT]):
    """A declared command. Declare it with :meth:`Service.command`."""

    name: str
    payload: Any
    parameter: Any
    output: Any
    service_name: str
    service_version: str
    description: str = ""
    timeout: timedelta = DEFAULT_TIMEOUT
    http: Http | None = None
    owner: str = ""
    deprecated: bool = False
    tags: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    declare_worker: Callable[[Worker], None] = field(repr=False)

    def __post_init__(self) -> None:
        if self.timeout <= timedelta(0):
            raise ContractError(
                f"Command {self.name!r}: expected a timeout above 0, got {self.timeout}."
            )

    @cached_property
    def queue(self) -> Queue[PayloadT, ParameterT, OutputT]:
        """The queue that it compiles to; each invocation is a job of it, tried once."""
        return Queue(
            name=command_queue(self.service_name, self.service_version, self.name),
            payload=self.payload,
            parameter=self.parameter,
            output=self.output,
            service_name=self.service_name,
            service_version=self.service_version,
            description=self.description,
            lifecycle=_LIFECYCLE,
            results=QueueResults(queue_name=self.name, policy=None),
            declare_worker=self.declare_worker,
        )

    def handler(
        self,
        *,
        emits: Sequence[Event[Any]] = (),
        enqueues: Sequence[Queue[Any, Any, Any]] = (),
        invokes: Sequence[Command[Any, Any, Any]] = (),
    ) -> Callable[
        [Callable[[Job[PayloadT, ParameterT]], OutputT | Awaitable[OutputT]]],
        Callable[[Job[PayloadT, ParameterT]], OutputT | Awaitable[OutputT]],
    ]:
        """Declare the function that answers it; it may be ``def`` or ``async def``.

        Args:
            emits, enqueues, invokes: the events, queues and commands that it may use.

        Raises:
            InvalidHandler: its signature does not fit this command.
            DuplicateName: the command has a handler already.
        """

        def declare(
            function: Callable[[Job[PayloadT, ParameterT]], OutputT | Awaitable[OutputT]],
        ) -> Callable[[Job[PayloadT, ParameterT]], OutputT | Awaitable[OutputT]]:
            expected = Job[self.payload, self.parameter]  # type: ignore[name-defined]
            handler.check(f"Command {self.name!r}", function, (expected,), self.output, least=1)
            self.declare_worker(
                Worker(
                    name=str(getattr(function, "__name__", self.name)),
                    queue_name=self.queue.name,
                    function=function,
                    emits=tuple(emits),
                    enqueues=tuple(enqueues),
                    invokes=tuple(invokes),
                )
            )
            return function

        return declare


def command_queue(service: str, version: str, name: str) -> str:
    """Return the queue that a command compiles to."""
    return f"cmd.{service}.{version}.{name}"
