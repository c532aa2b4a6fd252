"""Result events: made when a job is settled, kept in the outbox, published by a signal hook."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from purista_celery.errors import BrokerUnavailable, LedgerUnavailable
from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.records import OutgoingEvent
from purista_celery.messages.envelope import AnyEvent
from purista_celery.messages.job import JobMessage
from purista_celery.messages.result import REASON_HEADER, JobResult, ResultStatus, event_id
from purista_celery.producer.events import EventPublisher, new_event
from purista_celery.producer.wiring import JobQueue, Wiring

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ResultEventsOf:
    """The result events of one outcome of one job."""

    queue: str
    events: tuple[OutgoingEvent, ...]
    #: Whether they go through the outbox.
    required: bool

    @property
    def for_outbox(self) -> tuple[OutgoingEvent, ...]:
        """What is stored together with the outcome."""
        return self.events if self.required else ()


def result_events(
    wiring: Wiring,
    queue: JobQueue,
    message: JobMessage,
    statuses: Sequence[ResultStatus],
    *,
    attempt: int,
    output: Any = None,
    reason: str | None = None,
    id_suffix: str = "",
) -> ResultEventsOf:
    """Make the events that the queue's result policy asks for, for each of ``statuses``.

    Args:
        id_suffix: for a status that one job may have often; the event's id is the same otherwise.
    """
    contract = queue.declared
    policy = contract.results.policy if contract else None
    if contract is None or policy is None:
        return ResultEventsOf(queue.name, (), required=False)
    sender = wiring.sender(contract.service_name, contract.service_version, queue.name)
    events = []
    for status in statuses:
        name = policy.names()[status]
        if name is None:
            continue
        result = JobResult[Any](
            job_id=message.id,
            queue_name=queue.name,
            status=status,
            attempt=attempt,
            payload=output,
            headers={REASON_HEADER: reason} if reason else None,
            trace_id=message.trace_id,
            correlation_id=message.correlation_id,
            tenant_id=message.tenant_id,
            principal_id=message.principal_id,
        )
        event = new_event(
            name,
            result.to_wire(),
            sender=sender,
            trace=message,
            event_id=event_id(message.id, status) + id_suffix,
        )
        events.append(OutgoingEvent(event.id, event.to_json()))
    return ResultEventsOf(queue.name, tuple(events), required=policy.delivery == "required")


def publish_results(
    results: ResultEventsOf, publisher: EventPublisher, ledger: Ledger, producer: Any = None
) -> None:
    """Publish committed result events and clear the outbox; what fails here waits there."""
    try:
        for event in results.events:
            envelope = AnyEvent.from_wire(event.envelope)
            publisher.publish(envelope, producer, required=results.required)
        if results.required and results.events:
            ledger.clear_outbox(results.queue, [event.id for event in results.events])
    except (BrokerUnavailable, LedgerUnavailable) as error:
        log.warning(
            "Result events %s of %s are not published (%s); %s",
            [event.id for event in results.events],
            results.queue,
            error,
            "a relay will publish them from the outbox."
            if results.required
            else "delivery is best-effort, so they are dropped.",
        )
