"""Which instants an expression names."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from purista_celery.contracts.schedule import Cron, Interval, OneShot, Schedule
from purista_celery.schedules.occurrences import (
    jitter,
    latest_until,
    next_after,
    occurrence_id,
    occurrences,
    trace_id,
)

ZONES = [
    "Europe/Berlin",
    "Europe/Dublin",  # winter time is the exception
    "America/New_York",
    "America/St_Johns",  # offset of 3:30
    "America/Sao_Paulo",  # dropped DST in 2019
    "America/Mexico_City",  # dropped DST in 2022
    "America/Asuncion",  # dropped DST in 2024
    "America/Santiago",  # shifts at midnight
    "America/Havana",  # repeats the hour before one o'clock
    "America/Scoresbysund",  # changed its offset in 2024
    "Atlantic/Azores",  # shifts at midnight
    "Africa/Cairo",  # took DST up again
    "Africa/Casablanca",  # shifts around Ramadan
    "Antarctica/Troll",  # shifts by two hours
    "Asia/Almaty",  # changed its offset in 2024
    "Asia/Beirut",  # shifts at midnight
    "Asia/Kolkata",  # half-hour offset, no shifts
    "Australia/Sydney",  # southern hemisphere
    "Australia/Lord_Howe",  # shifts by half an hour
    "Pacific/Chatham",  # offset of 12:45
]
#: Often: looked at around each change of clocks.
EXPRESSIONS = [
    "*/15 * * * *",
    "* 2 * * *",
    "30 2 * * *",
    "15,45 0-3 * * *",
    "0 0 * * *",
    "0 */6 * * *",
]
#: Rarely: looked at over all years.
RARE = [
    "30 1 * * SUN",
    "0 2 1 * *",
    "0 12 L * *",
    "0 3 * * MON#2",
    "5 1 * 2,8 *",
    "30 23 28-31 * *",
]
#: Those of every quarter of an hour take a minute a zone, so they are asked for.
OVER_YEARS = [*RARE, *(EXPRESSIONS if os.environ.get("PURISTA_FULL_TABLE") else [])]
START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def transitions(zone: ZoneInfo) -> list[datetime]:
    """Return the days of 2024 to 2030 on which the zone's clocks change."""
    days = [START + timedelta(days=n) for n in range((END - START).days)]
    return [
        day
        for day in days
        if day.astimezone(zone).utcoffset()
        != (day + timedelta(days=1)).astimezone(zone).utcoffset()
    ]


def continuous(expression: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Return what one run of cronsim names in ``(start, end]``."""
    run = (moment.astimezone(UTC) for moment in CronSim(expression, start.astimezone(zone)))
    return list(takewhile(lambda moment: moment <= end, run))


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("zone", ZONES)
def test_around_each_change_of_clocks_every_occurrence_is_cronsims(
    zone: str, expression: str
) -> None:
    """None doubled, none missing, none moved, though each is computed from the one before."""
    cron = Cron(expression, timezone=zone)
    for day in transitions(ZoneInfo(zone)) or [START]:
        start, end = day - timedelta(hours=30), day + timedelta(hours=54)
        found = list(occurrences(cron, start, end))
        assert found == continuous(expression, ZoneInfo(zone), start, end)
        assert found == sorted(set(found))


@pytest.mark.parametrize("expression", OVER_YEARS)
@pytest.mark.parametrize("zone", ZONES)
def test_over_years_every_occurrence_is_cronsims(zone: str, expression: str) -> None:
    """Weekly, monthly and yearly schedules don't drift."""
    cron = Cron(expression, timezone=zone)
    assert list(occurrences(cron, START, END)) == continuous(expression, ZoneInfo(zone), START, END)


@pytest.mark.parametrize(
    ("expression", "day", "hours"),
    [
        # Berlin's clocks jump from 02:00 to 03:00 (01:00Z): the run comes right after the gap.
        ("30 2 * * *", datetime(2026, 3, 29, tzinfo=UTC), ["01:00"]),
        # They go back from 03:00 to 02:00 (01:00Z): a fixed time runs once, the first time.
        ("30 2 * * *", datetime(2026, 10, 25, tzinfo=UTC), ["00:30"]),
        # What runs every half hour follows elapsed time: the repeated hour runs twice.
        ("*/30 2 * * *", datetime(2026, 10, 25, tzinfo=UTC), ["00:00", "00:30", "01:00", "01:30"]),
    ],
)
def test_gap_and_overlap_rule(expression: str, day: datetime, hours: list[str]) -> None:
    """The rule of Debian's cron, spelled out for Berlin."""
    cron = Cron(expression, timezone="Europe/Berlin")
    found = occurrences(cron, day - timedelta(minutes=1), day + timedelta(hours=12))
    assert [moment.strftime("%H:%M") for moment in found] == hours


@given(INSTANTS, st.sampled_from(ZONES), st.sampled_from(EXPRESSIONS))
def test_next_is_strictly_after_any_instant(instant: datetime, zone: str, expression: str) -> None:
    """Also where cronsim, started inside a repeated hour, looks back."""
    found = next_after(Cron(expression, timezone=zone), instant)
    assert found is not None
    assert found > instant
    assert found.tzinfo is UTC


@given(INSTANTS, st.integers(1, 10**10))
def test_intervals_are_aligned_to_the_epoch(instant: datetime, every_ms: int) -> None:
    """Every process computes the same instants, and never skips one."""
    every = timedelta(milliseconds=every_ms)
    found = next_after(Interval(every), instant)
    assert found is not None
    assert instant < found <= instant + every
    assert (found - datetime(1970, 1, 1, tzinfo=UTC)) % every == timedelta(0)


def test_both_instants_of_a_repeated_hour_have_a_next() -> None:
    """Asked for in local time, where the two are equal."""
    first = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    hourly = Cron("15 * * * *", timezone="Europe/Berlin")
    found = [next_after(hourly, instant) for instant in (first, first.replace(fold=1))]
    assert found == [datetime(2026, 10, 25, hour, 15, tzinfo=UTC) for hour in (1, 2)]


def test_one_shot_occurs_once() -> None:
    """At its instant, cut to the milliseconds that travel, and never again."""
    shot = OneShot(datetime(2026, 1, 1, 1, 0, 0, 123_999, tzinfo=ZoneInfo("Europe/Berlin")))
    at = datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)
    assert next_after(shot, at - timedelta(milliseconds=1)) == at
    assert next_after(shot, at) is None


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (Cron("0 2 1 * *", timezone="Europe/Berlin"), datetime(2026, 3, 1, 1, tzinfo=UTC)),
        (Interval(timedelta(hours=1)), datetime(2026, 3, 15, 12, tzinfo=UTC)),
        (OneShot(datetime(2020, 1, 1, tzinfo=UTC)), datetime(2020, 1, 1, tzinfo=UTC)),
        (OneShot(datetime(2030, 1, 1, tzinfo=UTC)), None),
    ],
)
def test_latest_occurrence_until_an_instant(
    expression: Cron | Interval | OneShot, expected: datetime | None
) -> None:
    """However long ago it was; None if there was none."""
    assert latest_until(expression, datetime(2026, 3, 15, 12, 0, tzinfo=UTC)) == expected


def test_occurrence_id_is_what_node_computes() -> None:
    """base64url(sha256("<key>:<toISOString()>")), without padding; computed with openssl."""
    at = datetime(2026, 1, 1, 2, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    found = occurrence_id("billing/1/monthlyBillingCycle", at)
    assert found == "bNk2tMPdQOptocBKp9yHtTaOflpD1RYu3hQYDx61xFg"
    assert len(trace_id("billing/1/monthlyBillingCycle", at)) == 32


def test_jitter_is_stable_and_within_its_window() -> None:
    """A retry waits as long as the first attempt; other occurrences wait differently."""
    schedule = Schedule(
        name="tick",
        expression=Interval(timedelta(minutes=1)),
        target_kind="event",
        target_name="tick",
        service_name="clock",
        service_version="1",
        jitter_window=timedelta(seconds=10),
    )
    moments = list(occurrences(schedule.expression, START, START + timedelta(hours=1)))
    delays = [jitter(schedule, moment) for moment in moments]
    assert delays == [jitter(schedule, moment) for moment in moments]
    assert all(timedelta(0) <= delay < timedelta(seconds=10) for delay in delays)
    assert len(set(delays)) == len(delays)
    # In every process: a restarted beat waits for a retry as long as the one before.
    assert delays[0] == timedelta(seconds=3, microseconds=196_688)
