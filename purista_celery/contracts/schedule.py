"""When something is to happen: cron, interval or one instant, and what to do about missed runs.

Names and defaults are PURISTA's ``ScheduleExpression`` and ``ScheduleDefinition``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from purista_celery.contracts import choices
from purista_celery.contracts.command import command_queue
from purista_celery.contracts.governance import Governance, Link
from purista_celery.errors import (
    InvalidCron,
    InvalidInterval,
    InvalidOneShot,
    InvalidSchedule,
    InvalidTimezone,
)

MissedRunPolicy = Literal["skip", "runOnce", "backfill"]
ConcurrencyPolicy = Literal["allow", "forbid", "replace"]
TargetKind = Literal["event", "queue", "command"]

_CRON_FIELDS = 5
#: No cron expression of five fields needs more characters.
_LONGEST_CRON = 1000
#: Years in which Python and Redis can count milliseconds and a jitter on top.
_YEARS = range(1970, 9000)
#: Beat counts as many occurrences at once.
_MOST_CATCH_UP = 100_000
#: Longest interval and jitter.
_LONGEST = timedelta(days=36_525)


@dataclass(frozen=True, slots=True)
class Cron:
    """A five-field cron expression, read in an IANA time zone (as Debian's cron does, by cronsim).

    Raises:
        InvalidCron: the expression can not be read or never occurs.
        InvalidTimezone: the zone is not in the IANA database.
    """

    expression: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        zone_of(self.timezone)
        _check_cron(self.expression)


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so often, aligned to the Unix epoch: every process computes the same instants."""

    every: timedelta

    def __post_init__(self) -> None:
        whole = self.every % timedelta(milliseconds=1) == timedelta(0)
        if not whole or not timedelta(0) < self.every <= _LONGEST:
            raise InvalidInterval(
                f"Interval {self.every}: expected a positive number of whole milliseconds, at most "
                f"a hundred years."
            )


@dataclass(frozen=True, slots=True)
class OneShot:
    """Once, at an instant that carries its UTC offset."""

    at: datetime

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise InvalidOneShot(
                f"OneShot {self.at.isoformat()} has no time zone; add one, for example "
                f"{self.at.replace(tzinfo=UTC).isoformat()}."
            )
        if self.at.year not in _YEARS:
            raise InvalidOneShot(
                f"OneShot {self.at.isoformat()}: expected a year from {_YEARS.start} to "
                f"{_YEARS.stop - 1}."
            )


ScheduleExpression = Cron | Interval | OneShot


# More than the minutes of a week: with fewer, schedules at each of them would push each other out.
@lru_cache(maxsize=20_000)
def _check_cron(expression: str) -> None:
    if len(expression) > _LONGEST_CRON:
        raise InvalidCron(
            f"Cron {expression[:40]!r}… has {len(expression)} characters; at most "
            f"{_LONGEST_CRON} are read."
        )
    if len(expression.split()) != _CRON_FIELDS:
        raise InvalidCron(
            f"Cron {expression!r}: expected five fields (minute hour day month weekday)."
        )
    try:
        # In UTC, where cronsim counts fastest: what occurs in one zone occurs in all of them.
        next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise InvalidCron(f"Cron {expression!r}: {error}.") from error
    except StopIteration as error:
        raise InvalidCron(f"Cron {expression!r} never occurs.") from error


def zone_of(name: str) -> ZoneInfo:
    """Return the IANA zone ``name``.

    Raises:
        InvalidTimezone: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidTimezone(
            f"Time zone {name!r}: expected an IANA name such as 'Europe/Berlin'."
        ) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedJob:
    """The job that a schedule enqueues, the same at each occurrence. Its values are JSON-able."""

    payload: Any = None
    parameter: Any = None
    #: As the queue's contract says: who enqueues may not know it.
    max_attempts: int = 10
    priority: int | None = None


class ScheduleOptions(Governance, total=False):
    """What :meth:`Service.schedule` takes besides expression and target."""

    description: str
    #: What to do about an occurrence while jobs of the last one are unfinished: ``allow`` both,
    #: ``forbid`` it (the occurrence is skipped), or ``replace`` them (they are cancelled).
    concurrency: ConcurrencyPolicy
    #: What to do about occurrences that came due while no beat ran: ``skip`` fires none, unless it
    #: is a single one (as PURISTA does); ``runOnce`` the latest; ``backfill`` up to
    #: ``max_catch_up`` (default 1), oldest first.
    missed_runs: MissedRunPolicy
    max_catch_up: int | None
    jitter_window: timedelta | None
    #: The beat that fires it; one beat serves one group.
    group: str
    enabled: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """One declared schedule: what beat fires, and when."""

    name: str
    expression: ScheduleExpression
    target_kind: TargetKind
    target_name: str
    service_name: str
    service_version: str
    description: str = ""
    concurrency: ConcurrencyPolicy = "allow"
    missed_runs: MissedRunPolicy = "skip"
    max_catch_up: int | None = None
    jitter_window: timedelta | None = None
    group: str = "default"
    enabled: bool = True
    #: What is enqueued, where the target is a queue or a command.
    job: FixedJob | None = None
    owner: str = ""
    deprecated: bool = False
    tags: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()

    def __post_init__(self) -> None:
        where = f"Schedule {self.name!r}"
        choices.one_of(where, "missed_runs", self.missed_runs, MissedRunPolicy)
        choices.one_of(where, "concurrency", self.concurrency, ConcurrencyPolicy)
        if self.max_catch_up is not None and not 1 <= self.max_catch_up <= _MOST_CATCH_UP:
            raise InvalidSchedule(
                f"{where}: expected max_catch_up from 1 to {_MOST_CATCH_UP}, got "
                f"{self.max_catch_up}."
            )
        if self.jitter_window is not None and not timedelta(0) <= self.jitter_window <= _LONGEST:
            raise InvalidSchedule(
                f"{where}: expected jitter_window >= 0 and at most a hundred years, got "
                f"{self.jitter_window}."
            )

    @property
    def key(self) -> str:
        """PURISTA's ``scheduleKey``: ``<service>/<version>/<name>``."""
        return f"{self.service_name}/{self.service_version}/{self.name}"

    @property
    def queue_name(self) -> str:
        """The queue on which each occurrence is a job, where the target is a queue or command."""
        if self.target_kind == "command":
            return command_queue(self.service_name, self.service_version, self.target_name)
        return self.target_name
