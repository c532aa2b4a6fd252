"""A schedule as RedBeat keeps it: our manifest's entry as definition, our state as meta."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from redbeat import RedBeatSchedulerEntry

from purista_celery.contracts.schedule import Schedule
from purista_celery.exports.manifest import entry_fields, read_entry
from purista_celery.schedules.occurrences import next_after
from purista_celery.schedules.state import State


class Due(NamedTuple):
    """Celery's answer to "is it due?"."""

    is_due: bool
    #: Seconds until it is to be asked again.
    next: float


class StoredSchedule(dict[str, Any]):
    """A manifest's entry that Celery can ask when it is due. As a dict it needs no encoder."""

    #: Set by Celery.
    app: Any = None
    tz = UTC

    @property
    def contract(self) -> Schedule:
        """The schedule that the entry describes."""
        return read_entry(self)

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)

    def remaining_estimate(self, last_run_at: datetime) -> timedelta | None:
        """Return how long it is until the occurrence after ``last_run_at``; None if it never is."""
        following = next_after(self.contract.expression, last_run_at)
        return None if following is None else following - self.now()

    def is_due(self, last_run_at: datetime) -> Due:
        """Tell whether an occurrence after ``last_run_at`` has come."""
        remaining = self.remaining_estimate(last_run_at)
        if remaining is None:
            return Due(False, 60.0)
        return Due(remaining <= timedelta(0), max(0.0, remaining.total_seconds()))


class Entry(RedBeatSchedulerEntry):
    """One schedule in RedBeat's store, for what reads that store."""

    @staticmethod
    def decode_definition(definition: str) -> dict[str, Any]:
        """Read what :func:`definition_of` wrote."""
        fields = json.loads(definition)
        return {**fields, "schedule": StoredSchedule(fields["schedule"])}

    @staticmethod
    def decode_meta(meta: str | None, app: Any = None) -> dict[str, Any]:  # noqa: ARG004
        """Read the state, in RedBeat's words."""
        if meta is None:
            return {"last_run_at": None}
        state = State.from_wire(meta)
        return {"last_run_at": state.cursor, "total_run_count": state.runs}


def definition_of(schedule: Schedule) -> str:
    """Return the text of a schedule's definition; equal schedules have equal texts."""
    definition = {
        "name": schedule.key,
        "task": f"{schedule.target_kind}:{schedule.target_name}",
        "args": [],
        "kwargs": {},
        "options": {},
        "schedule": entry_fields(schedule),
        "enabled": schedule.enabled,
    }
    return json.dumps(definition, sort_keys=True)


@lru_cache(maxsize=10_000)
def schedule_of(definition: str) -> Schedule:
    """Read a definition. The last ones are kept: a busy beat reads the same ones each minute.

    Raises:
        InvalidSchedule: it does not describe a schedule.
        ValueError: it is not JSON.
    """
    fields = json.loads(definition)
    return read_entry(fields.get("schedule") if isinstance(fields, dict) else None)
