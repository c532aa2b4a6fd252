"""Result events of jobs that a process without contracts, such as beat, has cancelled."""

from __future__ import annotations

from purista_celery.ledger import reading
from purista_celery.ledger.records import OutgoingEvent
from purista_celery.messages.job import JobMessage
from purista_celery.messages.result import job_id_of
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime.results import result_events
from purista_celery.runtime.runtime import Runtime


def made(runtime: Runtime, queue: JobQueue, event: OutgoingEvent) -> tuple[OutgoingEvent, ...]:
    """Return what is to be published of an event of the outbox, now that the contract is known.

    Returns:
        The event itself if it is made already; nothing where the contract asks for none, or where
        the job's record is kept no longer.
    """
    if event.envelope:
        return (event,)
    job_id = job_id_of(event.id)
    status = reading.find(runtime.ledger, job_id, [queue.name])
    text = runtime.ledger.message(queue.name, job_id)
    if status is None or text is None:
        return ()
    return result_events(
        runtime.wiring,
        queue,
        JobMessage.from_wire(text),
        ["cancelled"],
        attempt=status.attempt,
        reason=status.reason,
    ).events
