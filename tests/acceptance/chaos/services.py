"""What runs while things break: handlers that trace each start, end, settle and event heard."""

from __future__ import annotations

import os
import time
import uuid
from typing import Any

from celery import current_task, signals

from purista_celery import Enqueue, EventMessage, Job, JobResult, Lifecycle, Service
from purista_celery.runtime.fence import HEADER
from tests.acceptance.chaos.contracts import (
    NEWEST,
    VERSION,
    Done,
    Work,
    attempts_of,
    brief,
    happened,
    ordered,
    quick,
    service,
    steady,
    ticked,
)
from tests.acceptance.spine.services import trace

first, second = Service("first"), Service("second")
#: Events are jobs too; faults must not use up their attempts.
patient = Lifecycle(max_attempts=100, retry_strategy=quick)


def perform(job: Job[Work, None]) -> Done:
    """Do what the payload says, and trace when it began and ended."""
    fence = started(job)
    try:
        _act(job)
    finally:
        trace("end", job.id, job.attempt, fence)
    return Done(fence=fence)


def started(job: Job[Any, Any]) -> str:
    """Trace a start; return the fence of this delivery."""
    fence = str(current_task.request.get(HEADER))
    trace("start", job.id, job.attempt, fence, os.environ.get("CHAOS_POST", "-"))
    return fence


def _act(job: Job[Work, None]) -> None:
    until = time.monotonic() + job.payload.seconds
    while time.monotonic() < until:
        time.sleep(0.05)
        job.raise_if_cancelled()
    mode = job.payload.mode
    if mode == "transient" and job.attempt < 3:
        raise ConnectionError("twice")
    if mode == "fail":
        raise ValueError("for good")
    if mode == "fatal":
        job.fail("hopeless", fatal=True)
    if mode == "bury":
        job.dead_letter("as asked")


brief.worker()(perform)
steady.worker()(perform)
ordered.worker()(perform)


def work_on(event: EventMessage[Work]) -> Enqueue[Work, None]:
    work = event.payload.model_copy(update={"source": event.id})
    return Enqueue(work, max_attempts=attempts_of(work))


# The version before had no binding yet.
if VERSION == NEWEST:
    service.bind(happened, to=brief, idempotency="strict", lifecycle=patient)(work_on)


def hear(subscription: str, event: EventMessage[Any], job: Job[Any, Any]) -> None:
    fence = started(job)
    occurrence = event.schedule.scheduled_at.timestamp() if event.schedule else "-"
    trace("heard", subscription, event.id, job.id, occurrence)
    trace("end", job.id, job.attempt, fence)


@first.subscribe("chaos.result.#", lifecycle=patient)
def first_result(event: EventMessage[JobResult[Any]], job: Job[Any, None]) -> None:
    hear("first", event, job)


@second.subscribe("chaos.result.*", lifecycle=patient)
def second_result(event: EventMessage[JobResult[Any]], job: Job[Any, None]) -> None:
    hear("second", event, job)


@first.subscribe(happened, lifecycle=patient)
def hear_happened(event: EventMessage[Work], job: Job[Any, None]) -> None:
    hear("happened", event, job)


@first.subscribe(ticked, lifecycle=patient)
def hear_tick(event: EventMessage[None], job: Job[Any, None]) -> None:
    hear("ticked", event, job)


services = [service, first, second]
#: What a deploy took away: its inbox is still there, and nobody looks into it.
gone = Service("gone")


@gone.subscribe(happened)
def hear_in_vain(event: EventMessage[Work]) -> None:
    raise NotImplementedError(event.id)


@signals.task_postrun.connect(weak=False, dispatch_uid=f"chaos.{uuid.uuid4().hex}")
def trace_settle(task: Any = None, state: str = "", retval: Any = None, **_: Any) -> None:
    """Trace what Celery was told: the outcomes that the ledger took, and the refusals."""
    fence = task.request.get(HEADER)
    if fence is None:
        return
    reason = str(getattr(retval, "exception", retval)) if state == "IGNORED" else ""
    taken = {"SUCCESS": "completed", "RETRY": "retried", "FAILURE": "buried"}
    trace("settled", task.request.id, fence, taken.get(state, reason.replace(" ", "_") or state))
