"""A queue: where jobs of one kind wait, what they carry, and how they are treated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import TypeAdapter

from purista_celery.contracts import choices, handler, names
from purista_celery.contracts.event import Event
from purista_celery.contracts.governance import Governance, Link
from purista_celery.contracts.http import Http
from purista_celery.contracts.job import Job
from purista_celery.contracts.lifecycle import Lifecycle, LongRunning
from purista_celery.contracts.results import ResultEvents
from purista_celery.contracts.types import adapter_of
from purista_celery.contracts.worker import Worker, WorkerMode
from purista_celery.errors import ContractError, UnknownReference

if TYPE_CHECKING:
    from purista_celery.contracts.command import Command
    from purista_celery.messages.result import JobResult, ResultStatus

PayloadT = TypeVar("PayloadT")
ParameterT = TypeVar("ParameterT")
OutputT = TypeVar("OutputT")

Ordering = Literal["none", "fifo", "partition"]

MAX_PRIORITY = 9


class QueueOptions(Governance, total=False):
    """What :meth:`Service.queue` takes besides the three types."""

    description: str
    #: Lease, attempts and retries; PURISTA's defaults otherwise.
    lifecycle: Lifecycle | None
    #: For jobs of minutes to hours.
    profile: LongRunning | None
    #: The events that tell how a job ended.
    results: ResultEvents | None
    #: Another name under which its dead letters are found.
    dead_letter: str | None
    #: ``fifo``: all jobs one after the other, in the order in which they became due. ``partition``:
    #: so within each partition key. A job keeps its place until it has ended, retries included.
    ordering: Ordering
    #: 0 to 9, 9 first, of jobs that name none.
    priority: int | None
    #: How many of its jobs may run at once, over all workers.
    max_parallel: int | None
    #: How jobs are enqueued over HTTP, if they are.
    http: Http | None


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueResults(Generic[OutputT]):
    """The result events of one queue, to subscribe to: ``queue.results.success``."""

    queue_name: str
    policy: ResultEvents | None
    events: dict[ResultStatus, Event[Any]] = field(default_factory=dict)

    @property
    def success(self) -> Event[JobResult[OutputT]]:
        """Emitted when a job completed."""
        return self._event("success")

    @property
    def failure(self) -> Event[JobResult[None]]:
        """Emitted when a job has failed for good."""
        return self._event("failed")

    @property
    def cancelled(self) -> Event[JobResult[None]]:
        """Emitted when a job was cancelled."""
        return self._event("cancelled")

    @property
    def dead_letter(self) -> Event[JobResult[None]]:
        """Emitted when a job became a dead letter."""
        return self._event("dead-lettered")

    @property
    def progress(self) -> Event[JobResult[Any]]:
        """Emitted when a handler reports progress."""
        return self._event("progress")

    def _event(self, status: ResultStatus) -> Event[Any]:
        try:
            return self.events[status]
        except KeyError:
            raise UnknownReference(
                f"Queue {self.queue_name!r} emits no {status!r} event; name one in its "
                f"results=ResultEvents(…)."
            ) from None


@dataclass(frozen=True, kw_only=True, eq=False)
class Queue(Generic[PayloadT, ParameterT, OutputT]):
    """A declared queue. Declare it with :meth:`Service.queue`."""

    name: str
    payload: Any
    parameter: Any
    output: Any
    service_name: str
    service_version: str
    description: str = ""
    lifecycle: Lifecycle
    profile: LongRunning | None = None
    results: QueueResults[OutputT]
    #: Another name under which its dead letters are found.
    dead_letter: str | None = None
    ordering: Ordering = "none"
    #: 0 to 9, 9 first; what a job gets that names none.
    priority: int | None = None
    prefetch: int = 1
    #: Jobs of this queue that may run at once over all workers; None is no limit.
    max_parallel: int | None = None
    http: Http | None = None
    owner: str = ""
    deprecated: bool = False
    tags: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    declare_worker: Callable[[Worker], None] = field(repr=False)

    def __post_init__(self) -> None:
        where = f"Queue {self.name!r}"
        if self.priority is not None and not 0 <= self.priority <= MAX_PRIORITY:
            raise ContractError(f"{where}: expected priority 0 to 9, got {self.priority}.")
        if self.max_parallel is not None and self.max_parallel < 1:
            raise ContractError(f"{where}: expected max_parallel >= 1, got {self.max_parallel}.")
        if self.dead_letter is not None:
            names.dotted("Dead letter", self.dead_letter)
        choices.one_of(where, "ordering", self.ordering, Ordering)
        if self.http is not None and self.http.mode != "async-job":
            raise ContractError(
                f"{where}: a queue answers with a receipt; declare its http with mode='async-job'."
            )

    @property
    def payload_adapter(self) -> TypeAdapter[Any]:
        """Validates and dumps payloads."""
        return adapter_of(self.payload)

    @property
    def parameter_adapter(self) -> TypeAdapter[Any]:
        """Validates and dumps parameters."""
        return adapter_of(self.parameter)

    @property
    def output_adapter(self) -> TypeAdapter[Any]:
        """Validates and dumps what handlers return."""
        return adapter_of(self.output)

    def worker(
        self,
        *,
        name: str | None = None,
        emits: Sequence[Event[Any]] = (),
        enqueues: Sequence[Queue[Any, Any, Any]] = (),
        invokes: Sequence[Command[Any, Any, Any]] = (),
        mode: WorkerMode = "continuous",
        interval: timedelta | None = None,
    ) -> Callable[
        [JobHandler[PayloadT, ParameterT, OutputT]], JobHandler[PayloadT, ParameterT, OutputT]
    ]:
        """Declare the function that runs this queue's jobs; it may be ``def`` or ``async def``.

        Args:
            emits: the events that it may emit.
            enqueues: the queues that it may enqueue on.
            invokes: the commands that it may invoke.
            mode: over all workers, ``continuous`` starts jobs as they come, up to ``max_parallel``;
                ``sequential`` one at a time; ``interval`` at most ``max_parallel`` (else one) in
                each interval.
            interval: of mode ``interval``; one second by default.

        Raises:
            InvalidHandler: its signature does not fit this queue.
            ContractError: mode, interval and the queue's ``max_parallel`` contradict each other.
            DuplicateName: the queue has a worker already.
        """

        def declare(
            function: JobHandler[PayloadT, ParameterT, OutputT],
        ) -> JobHandler[PayloadT, ParameterT, OutputT]:
            expected = Job[self.payload, self.parameter]  # type: ignore[name-defined]
            handler.check(f"Queue {self.name!r}", function, (expected,), self.output, least=1)
            own_name = name or str(getattr(function, "__name__", self.name))
            where = f"Worker {own_name!r} of queue {self.name!r}"
            choices.one_of(where, "mode", mode, WorkerMode)
            _check_mode(where, mode, interval, self.max_parallel)
            self.declare_worker(
                Worker(
                    name=own_name,
                    queue_name=self.name,
                    function=function,
                    emits=tuple(emits),
                    enqueues=tuple(enqueues),
                    invokes=tuple(invokes),
                    mode=mode,
                    interval=interval,
                )
            )
            return function

        return declare


def _check_mode(
    where: str, mode: WorkerMode, interval: timedelta | None, max_parallel: int | None
) -> None:
    if interval is not None and (mode != "interval" or interval < timedelta(milliseconds=1)):
        raise ContractError(
            f"{where}: expected an interval of 1 ms or more, and mode='interval' with it, got "
            f"{interval} and {mode!r}."
        )
    if mode == "sequential" and max_parallel not in (None, 1):
        raise ContractError(
            f"{where}: mode 'sequential' runs one job at a time, and its queue says "
            f"max_parallel={max_parallel}; change one of them."
        )


JobHandler = Callable[[Job[PayloadT, ParameterT]], OutputT | Awaitable[OutputT]]
