"""What stands for one occurrence: an event, or a job."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from purista_celery.contracts.receipt import Enqueue
from purista_celery.contracts.schedule import FixedJob, Schedule
from purista_celery.ledger.underway import correlation_of
from purista_celery.messages.envelope import (
    AnyEvent,
    ScheduleTrigger,
    Sender,
    Trace,
    iso_milliseconds,
)
from purista_celery.producer.events import new_event
from purista_celery.schedules.occurrences import (
    latest_until,
    occurrence_id,
    to_milliseconds,
    trace_id,
)


def occurrence_event(
    schedule: Schedule, scheduled_at: datetime, now: datetime, *, attempt: int, instance_id: str
) -> AnyEvent:
    """Return the event of one occurrence. A repeat has the same id, and continues the trace."""
    identity = occurrence_id(schedule.key, scheduled_at)
    return new_event(
        schedule.target_name,
        sender=Sender(
            service_name="purista-scheduler",
            service_version="1",
            service_target=schedule.group,
            instance_id=instance_id,
        ),
        trace=_trace(schedule, scheduled_at),
        event_id=identity,
        schedule=ScheduleTrigger(
            schedule_key=schedule.key,
            schedule_name=schedule.name,
            occurrence_id=identity,
            scheduled_at=to_milliseconds(scheduled_at),
            fired_at=to_milliseconds(now),
            attempt=attempt,
        ),
    )


def occurrence_job(schedule: Schedule, scheduled_at: datetime) -> tuple[Enqueue[Any, Any], Trace]:
    """Return the job of one occurrence. The occurrence is its key, so that a repeat is no job."""
    fixed = schedule.job or FixedJob()
    identity = occurrence_id(schedule.key, scheduled_at)
    job = Enqueue(
        fixed.payload,
        fixed.parameter,
        idempotency_key=identity,
        priority=fixed.priority,
        max_attempts=fixed.max_attempts,
        headers={
            "purista.scheduleKey": schedule.key,
            "purista.scheduleName": schedule.name,
            "purista.occurrenceId": identity,
            "purista.scheduledAt": iso_milliseconds(scheduled_at),
        },
    )
    return job, _trace(schedule, scheduled_at)


def correlation(schedule: Schedule, scheduled_at: datetime) -> str | None:
    """Return what the jobs of an occurrence are found by; None where they need not be."""
    if schedule.concurrency == "allow":
        return None
    return correlation_of(schedule.key, occurrence_id(schedule.key, scheduled_at))


def occurrence_for(schedule: Schedule, at: datetime | None, now: datetime) -> datetime:
    """Return the occurrence that a firing by hand stands for.

    It is ``at``; else the latest one until ``now``, or ``now`` if there was none. The same
    occurrence has the same id, so that a consumer can drop a repeat.
    """
    return to_milliseconds(at or latest_until(schedule.expression, now) or now)


def _trace(schedule: Schedule, scheduled_at: datetime) -> Trace:
    return Trace(
        trace_id=trace_id(schedule.key, scheduled_at),
        correlation_id=correlation(schedule, scheduled_at),
    )
