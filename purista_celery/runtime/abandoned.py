"""Settling for somebody who can not: a dead child, a dead worker, a lease that ran out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from purista_celery.ledger.decision import Bury, Cancel, Failure, Retry
from purista_celery.ledger.records import Abandoned, Offer, Settled
from purista_celery.messages.job import JobMessage
from purista_celery.producer.events import BROKER_ERRORS
from purista_celery.runtime.foreign import ForeignText
from purista_celery.runtime.results import ResultEventsOf
from purista_celery.runtime.runtime import Runtime
from purista_celery.runtime.settle import Held

log = logging.getLogger(__name__)
log.addFilter(ForeignText())


def held_by(runtime: Runtime, message: JobMessage, fence: str) -> Held | None:
    """Return the attempt that ``fence`` holds; None if it is settled or somebody else's."""
    queue = runtime.wiring.queue(message.queue_name)
    claim = runtime.ledger.held(queue.name, message.id)
    if claim is None or claim.fence != fence:
        return None
    return Held.by(queue, message, claim)


def abandon(
    runtime: Runtime,
    held: Held,
    failure: Failure,
    publish: Callable[[ResultEventsOf], None],
    abandoned: Abandoned | None = None,
) -> Retry | Bury | Cancel | None:
    """Settle a failed attempt for its holder.

    Args:
        publish: takes the result events of a dead letter.
        abandoned: as for :meth:`Settler.fail`; a child's main process settles as the child would.

    Returns:
        What was decided; None if somebody else was faster.
    """
    settled = runtime.settler.fail(held, failure, abandoned=abandoned)
    if settled is None:
        return None
    decision, results = settled
    log.warning(
        "Job %s of %s, attempt %d of %d: %s; %s",
        held.message.id,
        held.queue.name,
        held.attempt,
        held.max_attempts,
        failure.reason,
        f"another attempt in {decision.delay.total_seconds():.1f} s"
        if isinstance(decision, Retry)
        else f"now ended ({decision.reason})",
    )
    if results is not None:
        publish(results)
    return decision


def give_up_stray(
    runtime: Runtime,
    queue: str,
    job_id: str,
    fence: str,
    publish: Callable[[ResultEventsOf], None],
) -> None:
    """End an attempt that this worker holds, as the ledger says, and that is over here."""
    text = runtime.ledger.message(queue, job_id)
    held = None if text is None else held_by(runtime, JobMessage.from_wire(text), fence)
    if held is None:
        return
    error = "The ledger had lost how it ended, and its worker does not run it any more."
    failure = Failure("outcome_lost", error, delay=timedelta(0))
    if isinstance(abandon(runtime, held, failure, publish), Retry):
        runtime.ledger.unpublished(queue, [job_id])


def give_back(runtime: Runtime, message: JobMessage, fence: str) -> bool:
    """Give a running job back for its holder, uncounted; or cancel it if somebody asked for that.

    It is offered at once: this worker may be about to end, and its stager with it. The caller
    sees to it that the job does not go on here.

    Returns:
        Whether the job was still the holder's.
    """
    held = held_by(runtime, message, fence)
    if held is None:
        return False
    settled = runtime.ledger.release(held.queue.name, message.id, fence, "service_shutdown")
    if settled is Settled.CANCEL:
        results = runtime.settler.cancel(held, "cancelled")
        if results is not None:
            runtime.executor.publish(results)
        return results is not None
    if settled is Settled.DONE:
        log.warning("Job %s of %s is given back", message.id, held.queue.name)
        _offer(runtime, held)
    return settled is Settled.DONE


def _offer(runtime: Runtime, held: Held) -> None:
    queue, message = held.queue, held.message
    try:
        runtime.producer.offer(queue, Offer(message.id, message.to_json(), held.attempt - 1))
    except BROKER_ERRORS as error:
        log.warning("Job %s could not be offered at once: %s", message.id, error)
        runtime.ledger.unpublished(queue.name, [message.id])
