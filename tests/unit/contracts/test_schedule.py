"""When something is to happen: what is accepted, what is refused, and by which code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from purista_celery import Cron, Interval, Lifecycle, OneShot, Schedule, Service
from purista_celery.contracts.schedule import FixedJob
from purista_celery.errors import (
    InvalidSchedule,
    PuristaError,
    UnsupportedPayload,
    UnsupportedTarget,
)


@pytest.mark.parametrize(
    "expression",
    [
        "0 2 1 * *",
        "*/5 * * * *",
        "0 0 29 2 *",  # leap years only
        "30 6 * * MON-FRI",
        "0 0 L * *",  # the last day of a month
    ],
)
def test_a_cron_expression_has_five_fields(expression: str) -> None:
    """As Debian's cron reads them, in UTC unless a zone is named."""
    assert Cron(expression).timezone == "UTC"


@pytest.mark.parametrize(
    ("declare", "code", "says"),
    [
        # Fields missing, or seconds added.
        (lambda: Cron(""), "PURISTA_SCHEDULER_CRON_INVALID", "expected five fields"),
        (lambda: Cron("0 2 * *"), "PURISTA_SCHEDULER_CRON_INVALID", "expected five fields"),
        (lambda: Cron("0 0 2 1 * *"), "PURISTA_SCHEDULER_CRON_INVALID", "expected five fields"),
        (lambda: Cron("@daily"), "PURISTA_SCHEDULER_CRON_INVALID", "expected five fields"),
        # Out of range, or no number.
        (lambda: Cron("61 * * * *"), "PURISTA_SCHEDULER_CRON_INVALID", "'61 \\* \\* \\* \\*'"),
        (lambda: Cron("a * * * *"), "PURISTA_SCHEDULER_CRON_INVALID", "'a \\* \\* \\* \\*'"),
        # Never.
        (lambda: Cron("0 0 31 2 *"), "PURISTA_SCHEDULER_CRON_INVALID", "'0 0 31 2 \\*'"),
        # No zone of that name; a path out of the database; a folder of it; nothing.
        (
            lambda: Cron("0 2 1 * *", timezone="Europe/Atlantis"),
            "PURISTA_SCHEDULER_TIMEZONE_INVALID",
            "'Europe/Atlantis': expected an IANA name",
        ),
        (
            lambda: Cron("0 2 1 * *", timezone="../etc/passwd"),
            "PURISTA_SCHEDULER_TIMEZONE_INVALID",
            "expected an IANA name",
        ),
        (
            lambda: Cron("0 2 1 * *", timezone="Europe"),
            "PURISTA_SCHEDULER_TIMEZONE_INVALID",
            "expected an IANA name",
        ),
        (
            lambda: Cron("0 2 1 * *", timezone=""),
            "PURISTA_SCHEDULER_TIMEZONE_INVALID",
            "expected an IANA name",
        ),
        # Not forward, or finer than the wire's milliseconds.
        (lambda: Interval(timedelta(0)), "PURISTA_SCHEDULER_INTERVAL_INVALID", "Interval 0:00:00"),
        (lambda: Interval(-timedelta(days=1)), "PURISTA_SCHEDULER_INTERVAL_INVALID", "positive"),
        (
            lambda: Interval(timedelta(microseconds=1500)),
            "PURISTA_SCHEDULER_INTERVAL_INVALID",
            "whole milliseconds",
        ),
        # An instant that each host would read differently.
        (
            lambda: OneShot(datetime(2026, 1, 1)),  # noqa: DTZ001
            "PURISTA_SCHEDULER_ONESHOT_INVALID",
            "for example 2026-01-01T00:00:00\\+00:00",
        ),
    ],
)
def test_what_can_not_be_computed_is_refused(
    declare: Callable[[], object], code: str, says: str
) -> None:
    """The codes are PURISTA's diagnostic codes."""
    with pytest.raises(InvalidSchedule, match=says) as caught:
        declare()
    assert caught.value.code == code


def test_the_defaults_of_a_schedule_are_puristas() -> None:
    """ScheduleDefinition: allow, skip, enabled, in the default group."""
    service = Service("billing", version="2")
    schedule = service.schedule(
        "nightly", Interval(timedelta(hours=24)), emits=service.event("night")
    )

    assert {field.name: getattr(schedule, field.name) for field in fields(schedule)} == {
        "name": "nightly",
        "expression": Interval(timedelta(hours=24)),
        "target_kind": "event",
        "target_name": "night",
        "service_name": "billing",
        "service_version": "2",
        "description": "",
        "concurrency": "allow",
        "missed_runs": "skip",
        "max_catch_up": None,
        "jitter_window": None,
        "group": "default",
        "enabled": True,
        "job": None,
        "owner": "",
        "deprecated": False,
        "tags": (),
        "links": (),
    }
    assert schedule.key == "billing/2/nightly"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "a.b"}, "Schedule name 'a.b'"),  # would be two parts of a key
        ({"group": "a b"}, "Schedule group name 'a b'"),
        ({"max_catch_up": 0}, "Schedule 'nightly': expected max_catch_up from 1"),
        ({"jitter_window": timedelta(seconds=-1)}, "Schedule 'nightly': expected jitter_window"),
        # Misspelt words of an untyped caller; each would silently mean something else.
        ({"missed_runs": "run_once"}, "Schedule 'nightly': missed_runs 'run_once'.*'runOnce'"),
        ({"concurrency": "deny"}, "Schedule 'nightly': concurrency 'deny'.*'forbid'"),
    ],
)
def test_a_wrong_schedule_is_refused_by_name(options: dict[str, Any], says: str) -> None:
    """The message names the schedule, and what is expected."""
    service = Service("billing")
    night = service.event("night")
    arguments = {"name": "nightly", "expression": Cron("0 2 * * *"), "emits": night} | options
    with pytest.raises(PuristaError, match=says):
        service.schedule(**arguments)
    assert not service.schedules


@pytest.mark.parametrize(
    ("contract", "field"),
    [
        (Cron("0 2 * * *"), "expression"),
        (Interval(timedelta(hours=1)), "every"),
        (OneShot(datetime(2026, 1, 1, tzinfo=UTC)), "at"),
    ],
)
def test_an_expression_is_a_frozen_value(contract: Any, field: str) -> None:
    """Equal expressions are equal, and none can be changed."""
    with pytest.raises(FrozenInstanceError):
        setattr(contract, field, None)
    assert contract == type(contract)(getattr(contract, field))


def test_a_schedule_is_frozen() -> None:
    """What was declared stays as it was declared."""
    service = Service("billing")
    schedule: Schedule = service.schedule("n", Cron("0 2 * * *"), emits=service.event("night"))
    with pytest.raises(FrozenInstanceError):
        schedule.enabled = False  # type: ignore[misc]


def test_a_schedule_enqueues_the_same_job_each_time() -> None:
    """Its payload and parameter as JSON, its attempts and priority as the queue's contract says."""
    service = Service("billing")
    queue = service.queue(
        "closing", payload=dict[str, date], lifecycle=Lifecycle(max_attempts=4), priority=7
    )
    schedule = service.schedule(
        "nightly", Cron("0 2 * * *"), enqueues=queue, payload={"until": date(2026, 1, 31)}
    )
    assert (schedule.target_kind, schedule.target_name) == ("queue", "closing")
    assert schedule.job == FixedJob(payload={"until": "2026-01-31"}, max_attempts=4, priority=7)


def test_a_schedule_has_one_target_and_fits_it() -> None:
    """An event or a queue; and a job that the queue takes."""
    service = Service("billing")
    untyped: Any = service.schedule
    night, queue = service.event("night"), service.queue("closing", payload=int)
    for targets in ({}, {"emits": night, "enqueues": queue, "payload": 1}):
        with pytest.raises(InvalidSchedule, match="one of them"):
            untyped("nightly", Cron("0 2 * * *"), **targets)
    with pytest.raises(UnsupportedPayload, match="payload does not fit its queue"):
        untyped("nightly", Cron("0 2 * * *"), enqueues=queue, payload="many")
    assert not service.schedules


class Letter(BaseModel):
    to: str


class Note(BaseModel):
    text: str = ""


@pytest.mark.parametrize("payload", [Letter, Note, int, dict[str, Any], list[int]])
def test_an_event_that_wants_a_payload_is_not_emitted_by_a_schedule(payload: Any) -> None:
    """An occurrence carries none, not even what could be made of defaults."""
    service = Service("billing")
    sent: Any = service.event("letter.sent", payload=payload)
    with pytest.raises(
        UnsupportedPayload, match=r"'nightly'.*'letter.sent' wants.*enqueues="
    ) as at:
        service.schedule("nightly", Interval(timedelta(days=1)), emits=sent)
    assert at.value.code == "PURISTA_SCHEDULER_PAYLOAD_UNSUPPORTED"
    assert not service.schedules


@pytest.mark.parametrize("payload", [None, Any, Letter | None, object])
def test_an_event_that_may_be_empty_is_emitted_by_a_schedule(payload: Any) -> None:
    """Its type takes None, which is what a handler gets."""
    service = Service("billing")
    event: Any = service.event("night", payload=payload)
    service.schedule("nightly", Interval(timedelta(days=1)), emits=event)


@pytest.mark.parametrize("given", [{"payload": {"to": "Ada"}}, {"payload": 0}, {"parameter": ""}])
def test_a_payload_for_an_event_of_a_schedule_is_refused(given: dict[str, Any]) -> None:
    """It would be dropped without a word, whatever the event's type."""
    service = Service("billing")
    untyped: Any = service.schedule
    for number, payload in enumerate((None, Any, Letter | None)):
        event = service.event(f"night{number}", payload=payload)
        with pytest.raises(UnsupportedPayload, match=r"'nightly'.*Leave it out, or enqueue a job"):
            untyped("nightly", Interval(timedelta(days=1)), emits=event, **given)


def test_a_schedule_invokes_a_command_of_its_own_service() -> None:
    """With a payload that fits; the command of another service is refused by name."""
    house, garden = Service("house"), Service("garden")
    tidy, rake = house.command("tidy", payload=int), garden.command("rake", payload=int)
    daily = Interval(timedelta(days=1))
    schedule = house.schedule("tidying", daily, invokes=tidy, payload=5)
    assert (schedule.target_kind, schedule.target_name) == ("command", "tidy")
    assert schedule.queue_name == tidy.queue.name
    with pytest.raises(UnsupportedTarget, match=r"'rake' of service 'garden'.*Declare the"):
        house.schedule("raking", daily, invokes=rake, payload=5)
    with pytest.raises(UnsupportedPayload, match="'raking': payload"):
        garden.schedule("raking", daily, invokes=rake, payload="x")  # type: ignore[call-overload]
    with pytest.raises(InvalidSchedule, match=r"one of them"):
        house.schedule("both", daily, invokes=tidy, emits=house.event("x"), payload=5)  # type: ignore[call-overload]
