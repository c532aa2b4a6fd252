"""Enqueueing: validate, remember, publish. What is remembered is never lost, published or not."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from amqp.exceptions import PreconditionFailed

from purista_celery.contracts.queue import Queue
from purista_celery.contracts.receipt import Enqueue, Receipt
from purista_celery.errors import (
    BrokerUnavailable,
    ConfigurationError,
    InvalidMessage,
    LedgerUnavailable,
)
from purista_celery.ledger import underway
from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.records import Offer, RawMessage
from purista_celery.ledger.registry import Registry
from purista_celery.messages.envelope import Trace
from purista_celery.messages.job import JobMessage
from purista_celery.outages import BROKER
from purista_celery.producer import masking, routes, tracing
from purista_celery.producer.declaring import Declarations, as_it_is
from purista_celery.producer.events import BROKER_ERRORS, CONFIRM_WITHIN, RETRY_POLICY
from purista_celery.producer.payload import dumped
from purista_celery.producer.wiring import JobQueue, Wiring
from purista_celery.refusals import reason

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

#: Seconds until a queue that was used as it is, is declared once more.
_DECLARED_AGAIN = 60.0


class JobProducer:
    """Hands jobs over: to the ledger, then to the broker. Safe to share between threads."""

    def __init__(self, app: Celery, wiring: Wiring, ledger: Ledger) -> None:
        self._app = app
        self._wiring = wiring
        self._ledger = ledger
        self._registry = Registry(ledger)
        self._noted: set[str] = set()
        self._declarations = Declarations()
        #: Until when a queue that has other properties than ours is used as it is.
        self._undeclared_until: dict[str, float] = {}

    def enqueue(
        self,
        queue: JobQueue,
        job: Enqueue[Any, Any],
        trace: Trace,
        parent_span_id: str | None = None,
    ) -> Receipt:
        """Accept a job.

        Args:
            parent_span_id: the span that it comes from, where that is not the active one.

        Returns:
            Its receipt, or the original's if its idempotency key is known.

        Raises:
            InvalidPayload: payload or parameter does not fit the queue's contract.
            LedgerUnavailable: it is not known to be accepted; enqueue it again, with the same key.
        """
        with tracing.hop(
            "producer",
            f"enqueue {queue.name}",
            trace_id=trace.trace_id,
            parent_span_id=parent_span_id,
            attributes={"messaging.destination.name": queue.name},
        ):
            message = self.message(queue, job, trace)
            receipt = self._ledger.enqueue(message)
            with _accepted_all_the_same():
                underway.note(self._ledger, message.correlation_id, [receipt])
                self._note(queue)
            if _is_now(receipt):
                self._publish_accepted(queue, [message])
        return receipt

    def enqueue_many(
        self, queue: JobQueue, jobs: Sequence[Enqueue[Any, Any]], trace: Trace
    ) -> list[Receipt]:
        """As :meth:`enqueue` for each of ``jobs``; all are validated before the first is stored."""
        return self.hand_over(queue, [self.message(queue, job, trace) for job in jobs])

    def hand_over(self, queue: JobQueue, messages: Sequence[JobMessage]) -> list[Receipt]:
        """Accept the jobs of ``messages``; each of them once, however often it is handed over."""
        receipts = self._ledger.enqueue_many(messages)
        with _accepted_all_the_same():
            for correlation_id in {message.correlation_id for message in messages}:
                underway.note(self._ledger, correlation_id, receipts)
            self._note(queue)
        accepted = list(zip(messages, receipts, strict=True))
        self._publish_accepted(queue, [each for each, receipt in accepted if _is_now(receipt)])
        return receipts

    def message(self, queue: JobQueue, job: Enqueue[Any, Any], trace: Trace) -> JobMessage:
        """Return the message of a new job, its payload and parameter validated and JSON-able."""
        self._refuse_compression()
        now = time.time_ns() // 1_000_000
        trace_id, span_id = tracing.active() or (None, None)
        contract = queue.declared
        payload, parameter = job.payload, job.parameter
        if contract is not None:
            most = self._wiring.max_payload
            payload = dumped(contract.payload_adapter, payload, f"Payload of {queue.name!r}", most)
            parameter = dumped(
                contract.parameter_adapter, parameter, f"Parameter of {queue.name!r}", most
            )
        if job.max_attempts is not None and job.max_attempts < 1:
            raise InvalidMessage(f"max_attempts: expected 1 or more, got {job.max_attempts}.")
        return JobMessage.create(
            id=str(uuid.uuid4()),
            queue_name=queue.name,
            payload=payload,
            parameter=parameter,
            headers=dict(job.headers or {}),
            idempotency_key=job.idempotency_key,
            partition_key=_partition(job, trace, contract),
            service_version=queue.contract.service_version or None,
            created_at=now,
            scheduled_at=self._due(job),
            priority=_priority(job, contract),
            max_attempts=job.max_attempts or queue.lifecycle.max_attempts,
            trace_id=trace.trace_id or trace_id or uuid.uuid4().hex,
            parent_span_id=span_id,
            correlation_id=trace.correlation_id,
            tenant_id=job.tenant_id or trace.tenant_id,
            principal_id=job.principal_id or trace.principal_id,
        )

    def _note(self, queue: JobQueue) -> None:
        """Let the ledger know that there is such a queue, once in a process."""
        if queue.name not in self._noted:
            self._registry.note(queue.known)
            self._noted.add(queue.name)

    def _due(self, job: Enqueue[Any, Any]) -> int | None:
        if job.run_at is not None and job.delay is not None:
            raise InvalidMessage("Give run_at or delay, not both.")
        if job.run_at is not None:
            if job.run_at.tzinfo is None:
                raise InvalidMessage(f"run_at {job.run_at.isoformat()} has no time zone; add one.")
            # Rounded up: a job is never due before the instant that was asked for.
            return math.ceil(job.run_at.astimezone(UTC).timestamp() * 1000)
        if job.delay is None or job.delay <= timedelta(0):
            return None
        # By the clock that decides when it is due.
        now = self._ledger.workers.now_ms()
        return now + 1 + math.ceil(job.delay / timedelta(milliseconds=1))

    def offer(self, queue: JobQueue, offer: Offer, producer: Any = None) -> None:
        """Publish a remembered job's message, for its next attempt.

        Args:
            producer: one of the app's pool by default.

        Raises:
            one of ``BROKER_ERRORS``: the job stays ready and will be offered again.
        """
        self._refuse_compression()
        message = JobMessage.from_wire(offer.message)
        with _noting_outages():
            self._publish(queue, message, attempts=offer.attempt, producer=producer)

    def offer_raw(self, message: RawMessage) -> None:
        """Publish a kept message as it is, to the queue that it came from.

        Raises:
            one of ``BROKER_ERRORS``: the broker did not take it.
            BrokerUnavailable: the queue that it came from is gone.
        """
        queues, returned, name = self._app.amqp.queues, routes.Returned(), message.queue
        identity = str(uuid.uuid4())
        with _noting_outages(), self._app.producer_or_acquire() as producer:
            returned.watch(producer)
            producer.publish(
                message.body,
                exchange="",
                routing_key=name,
                # One that a broker had lost since takes it back all the same.
                declare=[queues[name]] if name in queues else [],
                mandatory=True,
                message_id=identity,
                headers=dict(message.headers),
                content_type=message.content_type or "application/octet-stream",
                content_encoding=message.content_encoding or "binary",
                delivery_mode=2,
                retry=True,
                retry_policy=RETRY_POLICY,
                confirm_timeout=CONFIRM_WITHIN,
            )
        if returned.take(identity):
            raise BrokerUnavailable(
                f"Broker queue {name!r} is gone, so nothing can go back to it. Start who consumes "
                f"from it, and try again."
            )

    def _publish_accepted(self, queue: JobQueue, messages: Sequence[JobMessage]) -> None:
        try:
            if len(messages) == 1:
                self._publish(queue, messages[0])
            elif messages:
                # One wait for an absent broker is enough: the first failure ends the batch.
                with self._app.producer_or_acquire() as producer, producer.batch():
                    for message in messages:
                        self._publish(queue, message, producer=producer)
        except BROKER_ERRORS as error:
            BROKER.begins(error)
            log.warning(
                "%d jobs of %s are accepted (%s, …), but the broker did not take all of their "
                "messages (%s: %s); a stager will offer them again.",
                len(messages),
                queue.name,
                messages[0].id,
                type(error).__name__,
                reason(error),
            )
            with _accepted_all_the_same():
                self._ledger.unpublished(queue.name, [message.id for message in messages])
        else:
            BROKER.ends()

    def _publish(
        self, queue: JobQueue, message: JobMessage, attempts: int = 0, producer: Any = None
    ) -> None:
        send = partial(
            self._app.send_task,
            queue.name,
            kwargs=message.to_kwargs(),
            task_id=message.id,
            priority=message.priority,
            retries=attempts,
            ignore_result=True,
            producer=producer,
            confirm_timeout=CONFIRM_WITHIN,
            kwargsrepr=masking.kwargsrepr(queue, message) if queue.is_sensitive else None,
        )
        broker_queue = self._app.amqp.queues[queue.broker_name]
        if self._undeclared_until.get(queue.broker_name, 0.0) > time.monotonic():
            send(queue=as_it_is(broker_queue))
            return
        try:
            send(queue=broker_queue)
        except PreconditionFailed as error:
            self._declarations.tell_mismatch(queue.broker_name, error)
            self._undeclared_until[queue.broker_name] = time.monotonic() + _DECLARED_AGAIN
            send(queue=as_it_is(broker_queue))

    def _refuse_compression(self) -> None:
        if self._app.conf.task_compression:
            raise ConfigurationError(
                f"task_compression is set ({self._app.conf.task_compression!r}), and workers open "
                f"no compressed message: a few bytes may be a gigabyte. Remove the setting."
            )


@contextmanager
def _noting_outages() -> Iterator[None]:
    try:
        yield
    except BROKER_ERRORS as error:
        BROKER.begins(error)
        raise
    BROKER.ends()


@contextmanager
def _accepted_all_the_same() -> Iterator[None]:
    """What follows acceptance must not look like a refusal: the sender would send a second job."""
    try:
        yield
    except LedgerUnavailable as error:
        log.warning("Jobs were accepted, but the ledger went away right after that: %s", error)


def _is_now(receipt: Receipt) -> bool:
    """Tell whether a receipt is of a new job that is to be published at once."""
    return not receipt.duplicate and receipt.scheduled_at is None


def _partition(
    job: Enqueue[Any, Any], trace: Trace, contract: Queue[Any, Any, Any] | None
) -> str | None:
    if contract is not None and contract.ordering == "partition":
        key = job.partition_key or job.tenant_id or trace.tenant_id
        if not key:
            raise InvalidMessage(
                f"Queue {contract.name!r} keeps its jobs in order by partition, and this job names "
                f"none. Give it partition_key=… or tenant_id=…."
            )
        return key
    if job.partition_key is not None:
        raise InvalidMessage(
            f"partition_key: the queue keeps no order by partition. Declare it with "
            f"ordering='partition', or leave the key out (got {len(job.partition_key)} characters)."
        )
    return "" if contract is not None and contract.ordering == "fifo" else None


def _priority(job: Enqueue[Any, Any], contract: Queue[Any, Any, Any] | None) -> int | None:
    if job.priority is None:
        return contract.priority if contract else None
    if not 0 <= job.priority <= 9:
        raise InvalidMessage(f"priority: expected 0 to 9, got {job.priority}.")
    return job.priority
