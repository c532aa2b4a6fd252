"""The face of it for applications: enqueue, emit, ask, wait, cancel, operate."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from purista_celery.contracts.command import Command
from purista_celery.contracts.event import Event
from purista_celery.contracts.queue import Queue
from purista_celery.contracts.receipt import Enqueue, Receipt
from purista_celery.errors import (
    InvalidMessage,
    JobNotFound,
    JobUnfinished,
)
from purista_celery.exports.facts import Facts
from purista_celery.ledger import reading
from purista_celery.ledger.records import JobStatus, LeaseRecord, Offer, QueueMetrics
from purista_celery.messages.envelope import AnyEvent, Trace
from purista_celery.messages.job import JobMessage
from purista_celery.producer import masking
from purista_celery.producer.events import BROKER_ERRORS, new_event, unaccepted
from purista_celery.producer.invoke import invoke
from purista_celery.producer.payload import dumped
from purista_celery.runtime import capabilities
from purista_celery.runtime.moving import Orphans
from purista_celery.runtime.runtime import Runtime, runtime_of
from purista_celery.runtime.settle import Held
from purista_celery.schedules.client import ScheduleClient

if TYPE_CHECKING:
    from celery import Celery

PayloadT = TypeVar("PayloadT")
ParameterT = TypeVar("ParameterT")
OutputT = TypeVar("OutputT")
AnyQueue = Queue[Any, Any, Any]


class Client:
    """What applications do with a compiled app; ``app.purista`` is one."""

    def __init__(self, app: Celery) -> None:
        self._runtime = runtime_of(app)
        #: The schedules of the app's services.
        self.schedules = ScheduleClient(
            self._runtime.wiring,
            self._runtime.ledger,
            self._runtime.producer,
            self._runtime.publisher,
        )

        #: The queues that a deploy removed and that still hold something.
        self.orphans = Orphans(self._runtime)

    def enqueue(
        self,
        queue: Queue[PayloadT, ParameterT, Any],
        payload: PayloadT,
        *,
        parameter: ParameterT | None = None,
        idempotency_key: str | None = None,
        partition_key: str | None = None,
        run_at: datetime | None = None,
        delay: timedelta | None = None,
        priority: int | None = None,
        max_attempts: int | None = None,
        headers: Mapping[str, str] | None = None,
        tenant_id: str | None = None,
        principal_id: str | None = None,
        trace_id: str | None = None,
        correlation_id: str | None = None,
    ) -> Receipt:
        """Accept a job. With the receipt in hand, it ends as completed, cancelled or dead letter.

        Args:
            idempotency_key: a second enqueue with it returns the first one's receipt, until the
                queue's retry window after that job has ended.
            partition_key: on a queue with ``ordering="partition"``, whose jobs run in order; the
                tenant's by default.
            run_at, delay: when it becomes due; now otherwise.
            priority: 0 to 9, 9 first.

        Raises:
            InvalidPayload: payload or parameter does not fit the queue's contract.
            UnknownQueue: no service of this app declares the queue.
            LedgerUnavailable: it is not known to be accepted; enqueue it again, with the same key.
        """
        job = Enqueue(
            payload,
            parameter,
            idempotency_key=idempotency_key,
            partition_key=partition_key,
            run_at=run_at,
            delay=delay,
            priority=priority,
            max_attempts=max_attempts,
            headers=headers,
        )
        trace = Trace.create(
            trace_id=trace_id,
            correlation_id=correlation_id,
            tenant_id=tenant_id,
            principal_id=principal_id,
        )
        return self._runtime.producer.enqueue(self._wired(queue), job, trace)

    def enqueue_many(
        self,
        queue: Queue[PayloadT, ParameterT, Any],
        jobs: Sequence[Enqueue[PayloadT, ParameterT]],
        *,
        tenant_id: str | None = None,
        principal_id: str | None = None,
    ) -> list[Receipt]:
        """Accept many jobs, in fewer round trips; all are validated before the first is stored."""
        trace = Trace.create(tenant_id=tenant_id, principal_id=principal_id)
        return self._runtime.producer.enqueue_many(self._wired(queue), jobs, trace)

    def emit(
        self,
        event: Event[PayloadT],
        payload: PayloadT | None = None,
        *,
        event_id: str | None = None,
        tenant_id: str | None = None,
        principal_id: str | None = None,
        trace_id: str | None = None,
        correlation_id: str | None = None,
    ) -> AnyEvent:
        """Publish an event, persistently, to the subscriptions that exist.

        Args:
            event_id: a subscription drops a second event of the same name and id; random by
                default.

        Raises:
            InvalidPayload: the payload does not fit the event's contract.
            BrokerUnavailable: the event was not accepted.
        """
        message = new_event(
            event.name,
            dumped(
                event.adapter,
                payload,
                f"Payload of event {event.name!r}",
                self._runtime.wiring.max_payload,
            ),
            sender=self._runtime.wiring.sender(event.service_name, event.service_version, "client"),
            trace=Trace.create(
                trace_id=trace_id,
                correlation_id=correlation_id,
                tenant_id=tenant_id,
                principal_id=principal_id,
            ),
            event_id=event_id,
        )
        self._runtime.publisher.publish(message)
        return message

    def invoke(
        self,
        command: Command[PayloadT, ParameterT, OutputT],
        payload: PayloadT | None = None,
        *,
        parameter: ParameterT | None = None,
        timeout: timedelta | None = None,
        tenant_id: str | None = None,
        principal_id: str | None = None,
        trace_id: str | None = None,
        correlation_id: str | None = None,
    ) -> OutputT:
        """Ask a command and return its answer.

        Args:
            timeout: how long to wait; as long as the command says by default.

        Raises:
            InvalidPayload: payload or parameter does not fit the command.
            CommandFailed: its handler failed; it is not tried again.
            CommandTimeout: nobody answered in time.
            UnknownQueue: no service of this app declares the command.
            LedgerUnavailable: it is not known what became of it.
        """
        trace = Trace.create(
            trace_id=trace_id,
            correlation_id=correlation_id,
            tenant_id=tenant_id,
            principal_id=principal_id,
        )
        answer: OutputT = invoke(
            command,
            Enqueue(payload, parameter),
            trace,
            timeout,
            queue=self._wired(command.queue),
            producer=self._runtime.producer,
            ledger=self._runtime.ledger,
        )
        return answer

    def job(self, job_id: str) -> JobStatus:
        """Return what is known of a job; what is marked sensitive is as it is.

        Raises:
            JobNotFound: no queue of this app has it: never accepted, or kept no longer.
        """
        status = reading.find(self._runtime.ledger, job_id, self._runtime.wiring.queues)
        if status is None:
            raise JobNotFound(
                f"Job {job_id!r} is on no queue of this app. It was never accepted, or it ended "
                f"more than {self._runtime.settings.result_ttl} ago."
            )
        return status

    def wait(self, job_id: str, timeout: timedelta | float = 60.0) -> JobStatus:
        """Return a job's status once it has ended.

        Raises:
            JobUnfinished: it has not within ``timeout`` (seconds or a timedelta).
            JobNotFound: as :meth:`job`.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        until = time.monotonic() + seconds
        pause = 0.02
        while True:
            status = self.job(job_id)
            if status.finished:
                return status
            if time.monotonic() >= until:
                raise JobUnfinished(f"Job {job_id!r} is {status.status} after {seconds:g} s.")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)

    def cancel(self, job_id: str, reason: str = "cancelled") -> JobStatus:
        """Cancel a job: at once where nobody holds it, else as soon as its handler asks.

        Returns:
            Its status; that of a job that has ended is as it was.
        """
        status = self.job(job_id)
        queue = self._runtime.wiring.queue(status.queue_name)
        text = self._runtime.ledger.message(queue.name, job_id)
        if not status.finished and text is not None:
            message = JobMessage.from_wire(text)
            # Without a fence: it is at once for what nobody holds, else a request.
            waiting = Held(queue, message, "", status.attempt, status.max_attempts, 0)
            results = self._runtime.settler.cancel(waiting, reason)
            if results is not None:
                self._runtime.executor.publish(results)
        return self.job(job_id)

    def metrics(self, queue: AnyQueue | str) -> QueueMetrics:
        """Return a queue in numbers."""
        return reading.metrics(self._runtime.ledger, _name(queue))

    def jobs(
        self, queue: AnyQueue | str, limit: int = 100, *, reveal: bool = False
    ) -> list[JobStatus]:
        """Return up to ``limit`` jobs of a queue that are unfinished or dead.

        Args:
            reveal: show what is marked sensitive, which is ``***`` otherwise.
        """
        states = ("leased", "ready", "scheduled", "dead")
        return _listed(self._runtime, _name(queue), states, limit, reveal)

    def leases(self, queue: AnyQueue | str, limit: int = 100) -> list[LeaseRecord]:
        """Return up to ``limit`` held jobs of a queue, soonest to expire first."""
        return reading.leases(self._runtime.ledger, _name(queue), limit)

    def dead_letters(self, queue: AnyQueue | str) -> DeadLetters:
        """Return the dead letters of a queue, to list, redrive and purge.

        Args:
            queue: a queue, its name, or the dead-letter name that its contract gives.
        """
        name = _name(queue)
        for wired in self._runtime.wiring.queues.values():
            if wired.declared and wired.declared.dead_letter == name:
                name = wired.name
        return DeadLetters(self._runtime, name)

    def inspect(self) -> Facts:
        """Ask the live broker and ledger what they keep, for ``exports.capabilities``.

        It raises nothing for a server that does not answer: that is one of the facts.
        """
        return capabilities.inspect(self._runtime)

    def pause(self, queue: AnyQueue | str, reason: str = "paused_by_operator") -> None:
        """Let no worker start a job of the queue, until :meth:`resume`; it survives restarts."""
        self._runtime.ledger.pause(_name(queue), reason)

    def resume(self, queue: AnyQueue | str) -> None:
        """Let workers start jobs of the queue again."""
        self._runtime.ledger.resume(_name(queue))

    def _wired(self, queue: AnyQueue) -> Any:
        return self._runtime.wiring.queue(queue.name)


class DeadLetters:
    """The dead letters of one queue."""

    def __init__(self, runtime: Runtime, queue: str) -> None:
        self._runtime = runtime
        self._queue = queue

    def list(self, limit: int = 100, *, reveal: bool = False) -> Sequence[JobStatus]:
        """Return up to ``limit`` dead letters, oldest first, with reason, error and payload.

        Args:
            reveal: show what is marked sensitive, which is ``***`` otherwise.
        """
        return _listed(self._runtime, self._queue, ("dead",), limit, reveal)

    def redrive(
        self, *job_ids: str, limit: int = 100, delay: timedelta = timedelta(0)
    ) -> Sequence[str]:
        """Try dead letters again from their first attempt: those named, else the oldest.

        Returns:
            The ids of those that will run again. A message that was no job goes back, as it came,
            to the broker queue that it came from.
        """
        ids = job_ids or tuple(letter.job_id for letter in self.list(limit))
        return [job_id for job_id in ids if self._redrive(job_id, delay)]

    def purge(self, *job_ids: str, limit: int = 100) -> int:
        """Delete dead letters for good, those named, else the oldest; return how many."""
        ids = job_ids or tuple(letter.job_id for letter in self.list(limit))
        return sum(self._runtime.ledger.purge(self._queue, job_id) for job_id in ids)

    def _redrive(self, job_id: str, delay: timedelta) -> bool:
        message = self._runtime.ledger.redrive(self._queue, job_id, delay)
        if message is None:
            return self._redrive_raw(job_id)
        if delay <= timedelta(0):
            queue = self._runtime.wiring.queue(self._queue)
            try:
                self._runtime.producer.offer(queue, Offer(job_id, message, 0))
            except BROKER_ERRORS:
                # It is ready in the ledger; a stager offers it when the broker is back.
                return True
        return True

    def _redrive_raw(self, message_id: str) -> bool:
        raw = self._runtime.ledger.begin_unpark(self._queue, message_id)
        if raw is None:
            return False
        if raw.cut:
            raise InvalidMessage(
                f"Dead letter {message_id!r} can not go back: it had {raw.cut} bytes, and its "
                f"first {len(raw.body)} are kept. Look at it, then purge it."
            )
        try:
            self._runtime.producer.offer_raw(raw)
        except BROKER_ERRORS as error:
            raise unaccepted(f"Dead letter {message_id!r} was not taken back", error) from error
        self._runtime.ledger.end_unpark(self._queue, message_id)
        return True


def _listed(
    runtime: Runtime,
    queue: str,
    states: Sequence[str],
    limit: int,
    reveal: bool,  # noqa: FBT001 - handed on
) -> list[JobStatus]:
    found = reading.jobs(runtime.ledger, queue, states, limit)
    if reveal:
        return found
    return [masking.status(runtime.wiring.queues.get(queue), each) for each in found]


def _name(queue: AnyQueue | str) -> str:
    return queue if isinstance(queue, str) else queue.name
