"""Publishing an occurrence by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from purista_celery.contracts.schedule import OneShot, Schedule
from purista_celery.messages.envelope import AnyEvent
from purista_celery.schedules.fire import occurrence_event, occurrence_for
from purista_celery.schedules.occurrences import occurrence_id

Make = Callable[..., Schedule]
NOW = datetime(2026, 5, 1, 12, 0, 30, tzinfo=UTC)


def fired(schedule: Schedule, at: datetime | None = None) -> AnyEvent:
    moment = occurrence_for(schedule, at, NOW)
    return occurrence_event(schedule, moment, NOW, attempt=1, instance_id="i")


def test_the_event_is_puristas(schedule: Make) -> None:
    """Sender, trigger and ids as in the handbook's runtime, and no payload."""
    event = fired(schedule(group="billing")).to_wire()
    identity = occurrence_id("clock/1/tick", datetime(2026, 5, 1, 12, 0, tzinfo=UTC))
    assert "payload" not in event
    assert event["id"] == identity
    assert event["eventName"] == "clock.ticked"
    assert event["sender"] == {
        "serviceName": "purista-scheduler",
        "serviceVersion": "1",
        "serviceTarget": "billing",
        "instanceId": "i",
    }
    assert event["schedule"] == {
        "scheduleKey": "clock/1/tick",
        "scheduleName": "tick",
        "occurrenceId": identity,
        "scheduledAt": "2026-05-01T12:00:00.000Z",
        "firedAt": "2026-05-01T12:00:30.000Z",
        "attempt": 1,
    }


def test_the_same_occurrence_has_the_same_ids(schedule: Make) -> None:
    """By hand, by beat or from outside: a consumer can tell a repeat, and the trace goes on."""
    at = NOW - timedelta(days=1)
    first, second = fired(schedule(), at), fired(schedule(), at)
    assert (first.id, first.trace_id) == (second.id, second.trace_id)
    assert first.id != fired(schedule()).id


def test_without_any_occurrence_it_stands_for_now(schedule: Make) -> None:
    """A one-shot can be fired before its time."""
    shot = schedule(expression=OneShot(NOW + timedelta(days=1)))
    event = fired(shot)
    assert event.schedule is not None
    assert event.schedule.scheduled_at == NOW
