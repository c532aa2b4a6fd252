"""How schedules fare, for those who look after them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis

from purista_celery.contracts.schedule import Schedule
from purista_celery.errors import PuristaError
from purista_celery.schedules.due import looked_at
from purista_celery.schedules.keys import GroupKeys
from purista_celery.schedules.occurrences import next_after
from purista_celery.schedules.scripts import Scripts
from purista_celery.schedules.store import Store, Stored


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleStatus:
    """One schedule, as beat has it."""

    key: str
    name: str
    group: str
    #: Whether the manifest enables it.
    enabled: bool
    #: Why an operator paused it; None if it is not paused.
    paused: str | None = None
    #: The occurrence that is published next; None if there is none.
    next_occurrence: datetime | None = None
    #: The occurrence that was published last, and when.
    last_occurrence: datetime | None = None
    last_published_at: datetime | None = None
    #: By how much the next occurrence is late now.
    lag: timedelta = timedelta(0)
    #: Occurrences published, missed and dropped, and skipped for the sake of the one before, since
    #: the schedule was first seen.
    runs: int = 0
    dropped: int = 0
    skipped: int = 0
    #: Code of the error at the last attempt; None if it went well.
    last_error: str | None = None

    @property
    def last_lag(self) -> timedelta | None:
        """By how much the last occurrence was published late."""
        if self.last_occurrence is None or self.last_published_at is None:
            return None
        return self.last_published_at - self.last_occurrence


def statuses(
    client: redis.Redis, namespace: str, groups: Iterable[str], now: datetime
) -> list[ScheduleStatus]:
    """Return how the schedules of ``groups`` fare, sorted by key.

    Args:
        client: decodes responses.
    """
    found = []
    scripts = Scripts(client)
    for group in groups:
        store = Store(client, scripts, GroupKeys(namespace, group), token="")
        found += [_status(entry, group, now) for entry in store.load(store.names())]
    return sorted(found, key=lambda status: status.key)


def unseen(schedule: Schedule, now: datetime) -> ScheduleStatus:
    """Return the status of a schedule that no beat has seen yet."""
    return ScheduleStatus(
        key=schedule.key,
        name=schedule.name,
        group=schedule.group,
        enabled=schedule.enabled,
        next_occurrence=next_after(schedule.expression, now) if schedule.enabled else None,
    )


def _status(stored: Stored, group: str, now: datetime) -> ScheduleStatus:
    try:
        tracked, pause = stored.read(), stored.pause
    except (PuristaError, ValueError) as error:
        code = error.code if isinstance(error, PuristaError) else PuristaError.code
        name = stored.name.rpartition("/")[2]
        return ScheduleStatus(
            key=stored.name, name=name, group=group, enabled=False, last_error=code
        )
    schedule, state = tracked.schedule, tracked.state
    look = looked_at(schedule, state) if _planned(stored) else None
    return ScheduleStatus(
        key=schedule.key,
        name=schedule.name,
        group=schedule.group,
        enabled=schedule.enabled,
        paused=pause.reason if pause else None,
        next_occurrence=state.next_after(schedule.expression, state.cursor) if look else None,
        last_occurrence=state.published,
        last_published_at=state.published_at,
        lag=max(timedelta(0), now - look) if look else timedelta(0),
        runs=state.runs,
        dropped=state.dropped,
        skipped=state.skipped,
        last_error=stored.rejected or state.error,
    )


def _planned(stored: Stored) -> bool:
    return stored.score is not None and stored.score >= 0
