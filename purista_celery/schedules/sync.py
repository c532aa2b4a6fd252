"""What a manifest changes in the store, decided entry by entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from purista_celery.contracts.schedule import Schedule
from purista_celery.errors import PuristaError
from purista_celery.schedules.due import looked_at
from purista_celery.schedules.group import Group
from purista_celery.schedules.state import State
from purista_celery.schedules.store import Drop, Park, Put, Stored, Tracked


def changes(group: Group, stored: Iterable[Stored], now: datetime) -> Iterator[Put | Drop | Park]:
    """Yield what makes the store equal to the group's part of the manifest.

    Entries that can not be fired are kept, so that a corrected manifest goes on where they stopped,
    but not looked at.

    Args:
        stored: all entries that a manifest brought before.
    """
    known = set()
    for entry in stored:
        known.add(entry.name)
        if entry.name in group.schedules:
            schedule, definition = group.schedules[entry.name], group.definitions[entry.name]
            put = _changed(schedule, definition, entry, now)
            if put:
                yield put
        elif entry.name in group.rejected:
            yield Park(entry.name, group.rejected[entry.name])
        else:
            yield Drop(entry.name)
    for key, schedule in group.schedules.items():
        if key not in known:
            yield Put(schedule, group.definitions[key], State.starting(now))


def _changed(schedule: Schedule, definition: str, stored: Stored, now: datetime) -> Put | None:
    unchanged = stored.definition == definition and stored.rejected is None
    if unchanged and stored.score is not None and stored.score >= 0:
        return None
    try:
        before = stored.read()
    except (PuristaError, ValueError):
        # Neither what it was nor how far it got can be read: as if seen for the first time.
        return Put(schedule, definition, State.starting(now))
    if unchanged and _planned(before, stored):
        return None
    state = before.state if _continues(before, schedule) else before.state.restarted(now)
    return Put(schedule, definition, state)


def _planned(tracked: Tracked, stored: Stored) -> bool:
    if stored.score is None:
        return False
    never = stored.paused is not None or looked_at(tracked.schedule, tracked.state) is None
    return stored.score >= 0 or never


def _continues(before: Tracked, schedule: Schedule) -> bool:
    enabled_now = schedule.enabled and not before.schedule.enabled
    return before.schedule.expression == schedule.expression and not enabled_now
