"""The job that a handler receives while a worker holds it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn, TypeVar

from purista_celery.contracts.command import Command
from purista_celery.contracts.event import Event
from purista_celery.contracts.job import Job
from purista_celery.contracts.queue import Queue
from purista_celery.contracts.receipt import Enqueue, Receipt
from purista_celery.errors import JobCancelled, LeaseLost, LedgerUnavailable, NotDeclared
from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.records import Claim
from purista_celery.messages.envelope import AnyEvent, Trace
from purista_celery.messages.job import JobMessage
from purista_celery.messages.wire import digest
from purista_celery.producer.events import EventPublisher, new_event
from purista_celery.producer.invoke import invoke
from purista_celery.producer.jobs import JobProducer
from purista_celery.producer.masking import secrets_of
from purista_celery.producer.payload import dumped
from purista_celery.producer.wiring import JobQueue, Wiring
from purista_celery.runtime import settlement
from purista_celery.runtime.masking import JobLogger
from purista_celery.runtime.patience import patiently
from purista_celery.runtime.reports import Reports
from purista_celery.runtime.results import result_events

T = TypeVar("T")


class RunningJob(Job[Any, Any]):
    """One granted claim, with the means to report, to hand work over and to end."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        message: JobMessage,
        claim: Claim,
        payload: Any,
        parameter: Any,
        resources: Any,
        wiring: Wiring,
        ledger: Ledger,
        producer: JobProducer,
        publisher: EventPublisher,
        reports: Reports,
        recall: Callable[[], bool],
    ) -> None:
        self.id = message.id
        self.queue_name = queue.name
        self.attempt = claim.attempt
        self.max_attempts = claim.max_attempts
        self.payload = payload
        self.parameter = parameter
        self.headers = message.headers
        self.trace_id = message.trace_id
        self.correlation_id = message.correlation_id
        self.tenant_id = message.tenant_id
        self.principal_id = message.principal_id
        self.last_checkpoint = claim.last_checkpoint
        self.resources = resources
        self.logger = JobLogger(
            logging.getLogger(f"purista.{queue.name}"), self._facts(), secrets_of(queue, message)
        )
        self._queue = queue
        self._message = message
        self._reports = 0
        self._fence = claim.fence
        self._wiring = wiring
        self._ledger = ledger
        self._producer = producer
        self._publisher = publisher
        self._news = reports
        self._recall = recall

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        report = {"done": done, "total": total, "message": message}
        known = {k: v for k, v in report.items() if v is not None}
        self._report("progress", known)
        self._reports += 1
        results = result_events(
            self._wiring,
            self._queue,
            self._message,
            ["progress"],
            attempt=self.attempt,
            output=known,
            # An attempt's number comes again after a redrive, and where it was given back.
            id_suffix=f":{self.attempt}.{self._reports}:{digest(self._fence)}",
        )
        # Progress is news, not an outcome: it never goes through the outbox.
        self._news.publish(results)

    def checkpoint(self, value: Any) -> None:
        where = (self.queue_name, self.id, self._fence)
        report = partial(self._ledger.report, *where, "checkpoint", value)
        self._obey(*self._held(lambda: self._patiently(report)))
        self.last_checkpoint = value

    def keep(self, parts: Mapping[int, str], checkpoint: Any = None) -> None:
        """Keep parts of what this job is about to hand over; an empty text forgets its part.

        Raises:
            LeaseLost: another worker holds the job by now.
        """
        where = (self.queue_name, self.id, self._fence)
        held, _ = self._held(lambda: self._ledger.keep(*where, parts, checkpoint))
        self._obey(held, cancelled=False)

    def kept(self, part: int) -> str:
        """Return a part that this attempt or one before has kept; empty where it is forgotten."""
        return self._ledger.kept(self.queue_name, self.id, part)

    def extend_lease(self, by: timedelta | None = None) -> None:
        where = (self.queue_name, self.id, self._fence)
        lease = by or self._queue.lifecycle.visibility_timeout

        def extend() -> tuple[bool, bool]:
            verdict, cancelled = self._patiently(lambda: self._ledger.extend(*where, lease))
            return verdict == "held", cancelled

        self._obey(*self._held(extend))

    @property
    def cancel_requested(self) -> bool:
        return self._news.report(self.queue_name, self.id, self._fence)[1]

    def raise_if_cancelled(self) -> None:
        self._report("", None)

    def emit(self, event: Event[Any], payload: Any = None) -> AnyEvent:
        worker = self._queue.worker
        if worker is None or event not in worker.emits:
            raise NotDeclared(
                f"Worker of {self.queue_name!r} emits {event.name!r} without declaring it; add it "
                f"to emits=[…]."
            )
        owner = self._queue.contract
        message = new_event(
            event.name,
            dumped(
                event.adapter,
                payload,
                f"Payload of event {event.name!r}",
                self._wiring.max_payload,
            ),
            sender=self._wiring.sender(owner.service_name, owner.service_version, self.queue_name),
            trace=self.trace,
        )
        self._publisher.publish(message)
        return message

    def enqueue(
        self,
        queue: Queue[Any, Any, Any],
        payload: Any,
        *,
        parameter: Any = None,
        idempotency_key: str | None = None,
        partition_key: str | None = None,
        delay: timedelta | None = None,
        priority: int | None = None,
    ) -> Receipt:
        worker = self._queue.worker
        if worker is None or queue not in worker.enqueues:
            raise NotDeclared(
                f"Worker of {self.queue_name!r} enqueues on {queue.name!r} without declaring it; "
                f"add it to enqueues=[…]."
            )
        job = Enqueue(
            payload,
            parameter,
            idempotency_key=idempotency_key,
            partition_key=partition_key,
            delay=delay,
            priority=priority,
        )
        return self._producer.enqueue(self._wiring.queue(queue.name), job, self.trace)

    def invoke(
        self,
        command: Command[Any, Any, Any],
        payload: Any = None,
        *,
        parameter: Any = None,
        timeout: timedelta | None = None,
    ) -> Any:
        worker = self._queue.worker
        if worker is None or command not in worker.invokes:
            raise NotDeclared(
                f"Worker of {self.queue_name!r} invokes {command.name!r} without declaring it; add "
                f"it to invokes=[…]."
            )
        return invoke(
            command,
            Enqueue(payload, parameter),
            self.trace,
            timeout,
            queue=self._wiring.queue(command.queue.name),
            producer=self._producer,
            ledger=self._ledger,
        )

    def retry(self, reason: str, delay: timedelta | None = None) -> NoReturn:
        raise settlement.retried(reason, delay)

    def fail(self, reason: str, *, fatal: bool = False) -> NoReturn:
        raise settlement.failed(reason, "failed", fatal=fatal)

    def dead_letter(self, reason: str) -> NoReturn:
        raise settlement.failed(reason, "dead_letter", fatal=True)

    @property
    def trace(self) -> Trace:
        """What this job hands on: its trace, and itself as the correlation if it has none."""
        return Trace(
            trace_id=self.trace_id,
            correlation_id=self.correlation_id or self.id,
            tenant_id=self.tenant_id,
            principal_id=self.principal_id,
        )

    def _patiently(self, ask: Callable[[], T]) -> T:
        # What is worth to be kept is worth to be waited for, for as long as the lease may last.
        return patiently(ask, self._queue.lifecycle.visibility_timeout)

    def _report(self, field: str, value: Any) -> None:
        where = (self.queue_name, self.id, self._fence)
        self._obey(*self._held(lambda: self._news.report(*where, field, value)))

    def _held(self, ask: Callable[[], tuple[bool, bool]]) -> tuple[bool, bool]:
        """Return the answer; a ledger that has lost the claim is told of it, and asked again."""
        held, cancelled = ask()
        return (held, cancelled) if held or not self._recalled() else ask()

    def _recalled(self) -> bool:
        try:
            return self._recall()
        except LedgerUnavailable:
            return False

    def _obey(self, held: bool, cancelled: bool) -> None:  # noqa: FBT001 - two facts of one answer
        if not held:
            raise LeaseLost(
                f"Job {self.id} of {self.queue_name!r} is no longer this worker's: its lease ran "
                f"out or it was settled elsewhere. Stop; another attempt has taken over."
            )
        if cancelled:
            raise JobCancelled(f"Job {self.id} of {self.queue_name!r} was cancelled.")

    def _facts(self) -> dict[str, Any]:
        return {
            "jobId": self.id,
            "queueName": self.queue_name,
            "attempt": self.attempt,
            "tenantId": self.tenant_id,
            "traceId": self.trace_id,
        }
