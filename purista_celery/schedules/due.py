"""What to do now about one schedule, as a value: what to drop, what to publish, when to look again.

An occurrence that came due while no beat was running is *missed*: ``missed_runs`` decides about it.
One that came due while a beat was running but could not be published (the broker was away, the lock
changed hands) is only *late*: it is always published, whatever the policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

from purista_celery.contracts.schedule import Schedule
from purista_celery.schedules.occurrences import jitter, latest_until
from purista_celery.schedules.silence import Silence
from purista_celery.schedules.state import COUNT_LIMIT, Drop, Gap, State

_MILLISECOND = timedelta(milliseconds=1)

#: What becomes of the occurrences that came due in a pause: none, the latest, or all are published.
Between = Literal["skip", "once", "all"]


def due(schedule: Schedule, state: State, now: datetime, limit: int) -> tuple[datetime, ...]:
    """Return the occurrences to publish at ``now``, oldest first, at most ``limit``."""
    return tuple(islice(_due(schedule, state, now), limit))


def looked_at(schedule: Schedule, state: State) -> datetime | None:
    """Return when the schedule is to be looked at next; None if it never occurs again."""
    if not schedule.enabled:
        return None
    occurrence = state.next_after(schedule.expression, state.cursor)
    return None if occurrence is None else occurrence + jitter(schedule, occurrence)


def missed(schedule: Schedule, state: State, silence: Silence) -> Drop | None:
    """Return what the missed-run policy drops of the occurrences in ``silence``.

    PURISTA's rules: ``skip`` drops them if they are more than one, ``runOnce`` all but the latest,
    ``backfill`` all but the oldest ``max_catch_up`` (default 1).
    """
    if silence.until <= state.cursor:
        return None
    # What was decided about, or attempted, has been looked at.
    looked_until = (state.decided or silence.after, state.attempted or silence.after)
    after = max(state.cursor, silence.after, *looked_until)
    spare = (schedule.max_catch_up or 1) if schedule.missed_runs == "backfill" else 1
    found = list(islice(_between(schedule, state, after, silence.until), spare + COUNT_LIMIT))
    if len(found) <= spare:
        return None
    match schedule.missed_runs:
        case "skip":
            return Drop(Gap(after=after, until=silence.until), len(found))
        case "runOnce":
            return _all_but_latest(schedule, after, silence.until, len(found))
        case "backfill":
            return Drop(Gap(after=found[spare - 1], until=silence.until), len(found) - spare)


def paused_over(schedule: Schedule, state: State, span: Silence, between: Between) -> Drop | None:
    """Return what an operator who resumes drops of the occurrences in ``span``."""
    after = max(state.cursor, span.after)
    found = list(islice(_between(schedule, state, after, span.until), COUNT_LIMIT))
    if between == "all" or not found:
        return None
    if between == "skip":
        return Drop(Gap(after=after, until=span.until), len(found))
    return None if len(found) == 1 else _all_but_latest(schedule, after, span.until, len(found))


def _all_but_latest(schedule: Schedule, after: datetime, until: datetime, found: int) -> Drop:
    latest = latest_until(schedule.expression, until) or until
    return Drop(Gap(after=after, until=latest - _MILLISECOND), found - 1)


def _due(schedule: Schedule, state: State, now: datetime) -> Iterator[datetime]:
    if not schedule.enabled:
        return
    for occurrence in _between(schedule, state, state.cursor, now):
        if occurrence + jitter(schedule, occurrence) > now:
            return
        yield occurrence


def _between(
    schedule: Schedule, state: State, after: datetime, until: datetime
) -> Iterator[datetime]:
    occurrence = state.next_after(schedule.expression, after)
    while occurrence is not None and occurrence <= until:
        yield occurrence
        occurrence = state.next_after(schedule.expression, occurrence)
