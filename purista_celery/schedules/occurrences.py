"""Which instants an expression names. Everything is in UTC; zones matter inside cron alone.

Where clocks change, cronsim's rule holds, which is Debian cron's: a run at a fixed time that falls
into the gap happens right after it, one in the repeated hour happens once, the first time; what
runs every so many minutes or hours follows elapsed time.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import takewhile

from cronsim import CronSim

from purista_celery.contracts.schedule import (
    Cron,
    Interval,
    OneShot,
    Schedule,
    ScheduleExpression,
    zone_of,
)
from purista_celery.messages.envelope import iso_milliseconds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: How far cronsim looks ahead before it says that an expression never occurs.
_HORIZON = timedelta(days=50 * 366)


def next_after(expression: ScheduleExpression, instant: datetime) -> datetime | None:
    """Return the first occurrence strictly after ``instant``, in UTC; None if there is no more."""
    match expression:
        case Cron():
            # In UTC: two instants of a repeated hour are equal elsewhere, and so to the cache.
            return _next_cron(expression, instant.astimezone(UTC))
        case Interval(every):
            return _EPOCH + ((instant - _EPOCH) // every + 1) * every
        case OneShot(at):
            moment = to_milliseconds(at)
            return moment if moment > instant else None


def latest_until(expression: ScheduleExpression, instant: datetime) -> datetime | None:
    """Return the last occurrence at or before ``instant``, in UTC; None if there was none."""
    # Forward only, in doubling steps back: cronsim's reverse gear rounds gaps the other way.
    span = timedelta(minutes=1)
    while span < _HORIZON:
        within = list(occurrences(expression, instant - span, instant))
        if within:
            return within[-1]
        span *= 2
    return None


def occurrences(
    expression: ScheduleExpression, after: datetime, until: datetime
) -> Iterator[datetime]:
    """Yield the occurrences in ``(after, until]``, oldest first."""
    return takewhile(lambda occurrence: occurrence <= until, endless(expression, after))


def endless(expression: ScheduleExpression, after: datetime) -> Iterator[datetime]:
    """Yield the occurrences after an instant, oldest first, as many as there are."""
    occurrence = next_after(expression, after)
    while occurrence is not None:
        yield occurrence
        occurrence = next_after(expression, occurrence)


def occurrence_id(schedule_key: str, scheduled_at: datetime) -> str:
    """Return PURISTA's id of one intended firing: the same in every process, at every attempt."""
    digest = _digest(schedule_key, iso_milliseconds(scheduled_at))
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def trace_id(schedule_key: str, scheduled_at: datetime) -> str:
    """Return a W3C trace id of one intended firing, so that a repeat continues the same trace."""
    return _digest(schedule_key, iso_milliseconds(scheduled_at)).hex()[:32]


def jitter(schedule: Schedule, scheduled_at: datetime) -> timedelta:
    """Return by how much this occurrence is published later: arbitrary, but the same each time."""
    if schedule.jitter_window is None:
        return timedelta(0)
    occurrence = _digest(schedule.key, iso_milliseconds(scheduled_at))
    digest = hashlib.sha256(b"jitter:" + occurrence).digest()
    return schedule.jitter_window * (int.from_bytes(digest[:6]) / 2**48)


def to_milliseconds(instant: datetime) -> datetime:
    """Return ``instant`` in UTC without what is finer than a millisecond: so it travels."""
    utc = instant.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


# As for the check of an expression: more than the minutes of a week.
@lru_cache(maxsize=20_000)
def _next_cron(cron: Cron, instant: datetime) -> datetime | None:
    # Started inside a repeated hour, cronsim may return what lies before its start.
    for occurrence in CronSim(cron.expression, instant.astimezone(zone_of(cron.timezone))):
        moment = occurrence.astimezone(UTC)
        if moment > instant:
            return moment
    return None


# Asked for an occurrence's id, its trace id and its jitter in turn.
@lru_cache(maxsize=64)
def _digest(schedule_key: str, scheduled_at: str) -> bytes:
    return hashlib.sha256(f"{schedule_key}:{scheduled_at}".encode()).digest()
