"""The manifest: written exactly as PURISTA writes it, read without trusting it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purista_celery.contracts.lifecycle import Lifecycle
from purista_celery.contracts.schedule import Cron, FixedJob, Interval, OneShot
from purista_celery.contracts.service import Service
from purista_celery.errors import InvalidSchedule
from purista_celery.exports.manifest import read_entry, read_manifest, schedule_manifest
from purista_celery.messages.envelope import AnyEvent
from purista_celery.schedules.due import due, missed
from purista_celery.schedules.entry import definition_of, schedule_of
from purista_celery.schedules.fire import occurrence_event
from purista_celery.schedules.group import plan
from purista_celery.schedules.silence import Silence
from purista_celery.schedules.state import State
from purista_celery.schedules.store import score_of

ENTRY: dict[str, Any] = {
    "name": "tick",
    "targetKind": "event",
    "targetName": "clock.ticked",
    "expression": {"kind": "interval", "everyMs": 1000},
}


def billing() -> Service:
    service = Service("billing", version="2")
    due = service.event("billing.monthlyCycleDue")
    service.schedule(
        "monthlyBillingCycle",
        Cron("0 2 1 * *", timezone="Europe/Berlin"),
        emits=due,
        description="A month ends",
        missed_runs="backfill",
        max_catch_up=3,
        jitter_window=timedelta(seconds=1.5),
        group="billing",
    )
    service.schedule("hourly", Interval(timedelta(hours=1)), emits=due, enabled=False)
    service.schedule("launch", OneShot(datetime(2027, 1, 1, tzinfo=UTC)), emits=due)
    return service


def test_manifest_has_puristas_form() -> None:
    """Entries sorted by name, keys sorted at every level, nothing undefined."""
    manifest = schedule_manifest([billing()], title="Billing")
    assert list(manifest) == ["schedules", "title", "version"]
    assert [entry["name"] for entry in manifest["schedules"]] == [
        "hourly",
        "launch",
        "monthlyBillingCycle",
    ]
    assert json.dumps(manifest) == json.dumps(manifest, sort_keys=True)
    assert manifest["schedules"][1]["expression"] == {
        "kind": "oneShot",
        "runAt": "2027-01-01T00:00:00.000Z",
    }
    assert manifest["schedules"][2] == {
        "concurrencyPolicy": "allow",
        "description": "A month ends",
        "enabledByDefault": True,
        "expression": {"kind": "cron", "timezone": "Europe/Berlin", "value": "0 2 1 * *"},
        "jitterWindowMs": 1500,
        "maxCatchUpCount": 3,
        "missedRunPolicy": "backfill",
        "name": "monthlyBillingCycle",
        "schedulerGroup": "billing",
        "targetKind": "event",
        "targetName": "billing.monthlyCycleDue",
        "targetServiceName": "billing",
        "targetServiceVersion": "2",
        "timezone": "Europe/Berlin",
    }
    assert "title" not in schedule_manifest([billing()])


def test_what_was_written_is_read() -> None:
    """The contracts come back as they were declared."""
    service = billing()
    manifest = read_manifest(json.loads(json.dumps(schedule_manifest([service]))))
    assert {schedule.name: schedule for schedule in manifest.schedules} == dict(service.schedules)
    assert manifest.rejected == ()


def test_defaults_are_puristas() -> None:
    """An entry with only what PURISTA requires."""
    schedule = read_entry(ENTRY)
    assert schedule.key == "unknown/unknown/tick"
    assert (schedule.concurrency, schedule.missed_runs) == ("allow", "skip")
    assert (schedule.group, schedule.enabled) == ("default", True)
    numeric = read_entry({**ENTRY, "expression": {"kind": "oneShot", "runAt": 1000}})
    assert numeric.expression == OneShot(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"expression": {"kind": "cron", "value": "61 * * * *"}}, "CRON_INVALID"),
        ({"expression": {"kind": "cron", "value": "0 0 * * * *"}}, "CRON_INVALID"),  # six fields
        ({"expression": {"kind": "cron"}}, "CRON_INVALID"),
        ({"expression": {"kind": "cron", "value": "0 0 30 2 *"}}, "CRON_INVALID"),  # never
        (
            {"expression": {"kind": "cron", "value": "* * * * *", "timezone": "Mars/Olympus"}},
            "TIMEZONE_INVALID",
        ),
        (
            {"expression": {"kind": "cron", "value": "* * * * *", "timezone": 5}},
            "TIMEZONE_INVALID",
        ),
        (
            {
                "expression": {"kind": "cron", "value": "* * * * *", "timezone": "UTC"},
                "timezone": "Europe/Berlin",
            },
            "TIMEZONE_INVALID",
        ),
        ({"expression": {"kind": "interval"}}, "INTERVAL_INVALID"),
        ({"expression": {"kind": "interval", "everyMs": 0}}, "INTERVAL_INVALID"),
        ({"expression": {"kind": "interval", "everyMs": 0.5}}, "INTERVAL_INVALID"),
        ({"expression": {"kind": "interval", "everyMs": True}}, "INTERVAL_INVALID"),
        ({"expression": {"kind": "interval", "everyMs": 10**30}}, "INTERVAL_INVALID"),
        ({"expression": {"kind": "interval", "everyMs": float("inf")}}, "INTERVAL_INVALID"),
        ({"expression": {"kind": "oneShot"}}, "ONESHOT_INVALID"),
        ({"expression": {"kind": "oneShot", "runAt": "tomorrow"}}, "ONESHOT_INVALID"),
        ({"expression": {"kind": "oneShot", "runAt": "2027-01-01T00:00:00"}}, "ONESHOT_INVALID"),
        ({"expression": {"kind": "oneShot", "runAt": float("nan")}}, "ONESHOT_INVALID"),
        ({"expression": {"kind": "lunar"}}, "INVALID"),
        ({"expression": "* * * * *"}, "INVALID"),
        # What no datetime, no key and no routing key can hold.
        ({"expression": {"kind": "interval", "everyMs": 10**14}}, "INTERVAL_INVALID"),
        ({"expression": {"kind": "oneShot", "runAt": "0001-01-01T00:00:00Z"}}, "ONESHOT_INVALID"),
        ({"expression": {"kind": "oneShot", "runAt": "9999-12-31T23:59:59Z"}}, "ONESHOT_INVALID"),
        ({"expression": {"kind": "cron", "value": "9" * 5000 + " 0 1 1 *"}}, "CRON_INVALID"),
        ({"jitterWindowMs": 10**12 * 4}, "INVALID"),
        ({"jitterWindowMs": 10**30}, "INVALID"),
        ({"maxCatchUpCount": 10**30}, "INVALID"),
        ({"targetName": "x" * 300}, "INVALID"),
        ({"targetName": "clock.#"}, "INVALID"),
        ({"name": "no spaces"}, "INVALID"),
        ({"schedulerGroup": "a}b"}, "INVALID"),
        ({"missedRunPolicy": "sometimes"}, "INVALID"),
        ({"targetKind": "workflow"}, "TARGET_UNSUPPORTED"),
        ({"payloadSchema": {"type": "object"}}, "PAYLOAD_UNSUPPORTED"),
    ],
)
def test_a_malformed_entry_is_set_aside_with_its_code(change: dict[str, Any], code: str) -> None:
    """And stops no other."""
    manifest = read_manifest({"schedules": [{**ENTRY, **change}, {**ENTRY, "name": "fine"}]})
    assert [schedule.name for schedule in manifest.schedules] == ["fine"]
    (rejected,) = manifest.rejected
    assert rejected.error.code == f"PURISTA_SCHEDULER_{code}"
    assert rejected.key == f"unknown/unknown/{change.get('name', 'tick')}"


def test_a_schedule_that_is_there_twice_is_fired_once() -> None:
    """The first entry counts; the second is reported."""
    manifest = read_manifest({"schedules": [ENTRY, ENTRY, 5]})
    assert [schedule.name for schedule in manifest.schedules] == ["tick"]
    assert [entry.key for entry in manifest.rejected] == ["unknown/unknown/tick", "unknown"]


def test_a_command_is_a_job_of_its_own_queue_tried_once() -> None:
    """Whether one of our services or PURISTA's export declares the schedule."""
    service = Service("house")
    tidy = service.command("tidy", payload=dict[str, str])
    service.schedule(
        "tidying", Interval(timedelta(hours=1)), invokes=tidy, payload={"room": "hall"}
    )
    document = json.loads(json.dumps(schedule_manifest([service])))
    assert document["schedules"][0]["targetKind"] == "command"
    assert document["schedules"][0]["targetName"] == "tidy"
    (schedule,) = read_manifest(document).schedules
    assert schedule == service.schedules["tidying"]
    assert schedule.queue_name == tidy.queue.name
    assert schedule.job == FixedJob(payload={"room": "hall"}, max_attempts=1)
    plain = read_entry({**ENTRY, "targetKind": "command", "targetName": "tidy"})
    assert (plain.queue_name, plain.job) == ("cmd.unknown.unknown.tidy", FixedJob(max_attempts=1))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
#: What breaks whoever takes text for text, and numbers for spans.
NASTY = st.sampled_from(["\ud800", "a\0b", "x" * 300, "}{", 2**70, -1, 10**15, 1e300])


def some(*good: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(good) | NASTY | JUNK


EXPRESSION = st.fixed_dictionaries(
    {"kind": st.sampled_from(["cron", "interval", "oneShot"]) | JUNK},
    optional={
        "value": some("* * * * *", "0 0 L * *", "0 0 29 2 MON#5", "*/0 * * * *", "5-1 * * * *"),
        "timezone": some("UTC", "Europe/Berlin", "../etc/passwd"),
        "everyMs": some(1, 1000, 86_400_000),
        "runAt": some("2027-01-01T00:00:00Z", 0, "0001-01-01T00:00:00+14:00"),
    },
)
ENTRIES = st.fixed_dictionaries(
    {
        "name": some("tick"),
        "targetKind": some("event", "queue", "command"),
        "targetName": some("clock.ticked"),
        "expression": EXPRESSION | JUNK,
    },
    optional={
        "targetServiceName": some("clock"),
        "targetServiceVersion": some("1"),
        "missedRunPolicy": some("skip", "runOnce", "backfill"),
        "maxCatchUpCount": some(1, 5),
        "jitterWindowMs": some(0, 1500),
        "schedulerGroup": some("fast"),
        "providerHints": some({}, {"job": {"payload": {"a": 1}}}),
    },
)


@given(ENTRIES)
def test_whatever_an_entry_holds_it_is_planned_or_rejected(entry: Any) -> None:
    """Nothing else: beat must not end at its start, nor at the first look, because of one entry."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    planned = plan("app", read_manifest({"schedules": [entry, {**ENTRY, "name": "fine"}]}))
    found = [schedule for group in planned.groups for schedule in group.schedules.values()]
    assert len(found) + len(planned.rejected) == 2
    assert any(schedule.name == "fine" for schedule in found)
    for group in planned.groups:
        assert len(group.deployment.digest) == 64
    for schedule in found:
        assert schedule_of(definition_of(schedule)) == schedule
        state = State.starting(now)
        score_of(schedule, state)
        due(schedule, state, now + timedelta(seconds=2), 5)
        missed(schedule, state, Silence(after=now, until=now + timedelta(seconds=3)))
        event = occurrence_event(schedule, now, now, attempt=1, instance_id="i")
        assert AnyEvent.from_wire(event.to_json()) == event


@pytest.mark.parametrize("data", [None, [], {}, {"schedules": {}}])
def test_what_is_no_manifest_is_refused(data: Any) -> None:
    """The whole file is wrong, so nothing of it is used."""
    with pytest.raises(InvalidSchedule, match="Export it again"):
        read_manifest(data)


def test_a_job_travels_in_the_hints_for_providers() -> None:
    """PURISTA's manifest has no field for it; what names a queue alone enqueues an empty job."""
    service = Service("house")
    queue = service.queue("sweeping", payload=dict[str, str], lifecycle=Lifecycle(max_attempts=3))
    service.schedule(
        "sweep", Interval(timedelta(hours=1)), enqueues=queue, payload={"room": "hall"}
    )
    document = json.loads(json.dumps(schedule_manifest([service], title="House")))
    assert document["schedules"][0]["providerHints"] == {
        "job": {"maxAttempts": 3, "payload": {"room": "hall"}}
    }
    manifest = read_manifest(document)
    assert manifest.title == "House"
    assert manifest.schedules == tuple(service.schedules.values())
    plain = read_entry({**ENTRY, "targetKind": "queue", "targetName": "sweeping"})
    assert plain.job == FixedJob()
    other = read_entry({**ENTRY, "providerHints": {"kubernetes": {"suspend": True}}})
    assert other.job is None


def test_keys_are_sorted_at_every_level_of_a_job_too() -> None:
    """PURISTA sorts recursively, and so the same declaration gives the same bytes."""
    service = Service("house")
    queue = service.queue("sweeping", payload=dict[str, dict[str, int]])
    room = {"b": {"z": 1, "a": 2}, "a": {}}
    service.schedule("sweep", Interval(timedelta(hours=1)), enqueues=queue, payload=room)
    written = json.dumps(schedule_manifest([service], title="House"))
    assert written == json.dumps(json.loads(written), sort_keys=True)
    assert read_manifest(json.loads(written)).schedules == tuple(service.schedules.values())
