"""What a handler receives: the job, and all that it may do with it. Nothing here names a broker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

if TYPE_CHECKING:
    import logging

    from purista_celery.contracts.command import Command
    from purista_celery.contracts.event import Event
    from purista_celery.contracts.queue import Queue
    from purista_celery.contracts.receipt import Receipt

PayloadT = TypeVar("PayloadT")
ParameterT = TypeVar("ParameterT")
OtherPayloadT = TypeVar("OtherPayloadT")
OtherParameterT = TypeVar("OtherParameterT")
OutputT = TypeVar("OutputT")


class Job(ABC, Generic[PayloadT, ParameterT]):
    """One attempt at a job, as its handler sees it."""

    id: str
    queue_name: str
    #: Counts from 1.
    attempt: int
    max_attempts: int
    payload: PayloadT
    parameter: ParameterT
    headers: Mapping[str, str]
    #: W3C trace id, 32 hexadecimal digits.
    trace_id: str | None
    correlation_id: str | None
    tenant_id: str | None
    principal_id: str | None
    #: What an earlier attempt passed to :meth:`checkpoint`, or None.
    last_checkpoint: Any
    #: Adds job id, queue, attempt, tenant and trace to each record.
    logger: logging.LoggerAdapter[logging.Logger]
    #: The service's resources by name: ``job.resources.db``.
    resources: Any

    @abstractmethod
    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Record how far the job is; shows in status and tooling.

        Progress is news: while the ledger or the broker is away it is left out, and the handler
        goes on.

        Raises:
            JobCancelled: somebody asked to cancel the job.
            LeaseLost: another worker holds the job by now.
        """

    @abstractmethod
    def checkpoint(self, value: Any) -> None:
        """Keep a JSON-able ``value`` that the next attempt reads as ``last_checkpoint``.

        Waits for a ledger that is away, for as long as a lease lasts.

        Raises:
            JobCancelled, LeaseLost: as :meth:`progress`.
            LedgerUnavailable: it was away for longer. An attempt that an outage ends does not
                count, and another follows.
        """

    @abstractmethod
    def extend_lease(self, by: timedelta | None = None) -> None:
        """Renew the lease to ``by`` from now (default: the queue's lease).

        Raises:
            JobCancelled, LeaseLost, LedgerUnavailable: as :meth:`checkpoint`.
        """

    @property
    @abstractmethod
    def cancel_requested(self) -> bool:
        """Whether somebody asked to cancel the job; False while the ledger is away."""

    @abstractmethod
    def raise_if_cancelled(self) -> None:
        """Raise :class:`~purista_celery.errors.JobCancelled` if somebody asked to cancel."""

    @abstractmethod
    def emit(self, event: Event[OtherPayloadT], payload: OtherPayloadT | None = None) -> Any:
        """Publish a declared event with this job's trace, correlation, tenant and principal.

        Raises:
            NotDeclared: the worker's ``emits`` does not list it.
            BrokerUnavailable: nobody took it. An attempt that an outage ends does not count.
        """

    @abstractmethod
    def enqueue(
        self,
        queue: Queue[OtherPayloadT, OtherParameterT, Any],
        payload: OtherPayloadT,
        *,
        parameter: OtherParameterT | None = None,
        idempotency_key: str | None = None,
        partition_key: str | None = None,
        delay: timedelta | None = None,
        priority: int | None = None,
    ) -> Receipt:
        """Enqueue on a declared queue, in the same trace.

        Raises:
            NotDeclared: the worker's ``enqueues`` does not list it.
        """

    @abstractmethod
    def invoke(
        self,
        command: Command[OtherPayloadT, OtherParameterT, OutputT],
        payload: OtherPayloadT | None = None,
        *,
        parameter: OtherParameterT | None = None,
        timeout: timedelta | None = None,
    ) -> OutputT:
        """Ask a declared command, in the same trace, and return its answer.

        Another pool process has to answer meanwhile, of this worker or of another one.

        Args:
            timeout: how long to wait; as long as the command says by default.

        Raises:
            NotDeclared: the worker's ``invokes`` does not list it.
            CommandFailed, CommandTimeout: there was no answer.
        """

    @abstractmethod
    def retry(self, reason: str, delay: timedelta | None = None) -> NoReturn:
        """End this attempt; the job is tried again after ``delay`` or the queue's backoff.

        This, :meth:`fail` and :meth:`dead_letter` count wherever they are called, also in a task of
        a group: of several, ``dead_letter`` first, then ``fail``, then ``retry``, before any error.
        """
        raise NotImplementedError

    @abstractmethod
    def fail(self, reason: str, *, fatal: bool = False) -> NoReturn:
        """End this attempt as failed; ``fatal`` makes the job a dead letter at once."""
        raise NotImplementedError

    @abstractmethod
    def dead_letter(self, reason: str) -> NoReturn:
        """End the job as a dead letter, now."""
        raise NotImplementedError
