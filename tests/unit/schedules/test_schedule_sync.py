"""What a manifest changes in the store, and how it is divided into groups."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from purista_celery.contracts.schedule import Interval, Schedule
from purista_celery.errors import InvalidCron
from purista_celery.exports.manifest import Manifest, Rejected
from purista_celery.schedules.entry import Entry, StoredSchedule, definition_of
from purista_celery.schedules.group import Group, plan
from purista_celery.schedules.keys import GroupKeys
from purista_celery.schedules.state import State
from purista_celery.schedules.store import Drop, Park, Put, Stored
from purista_celery.schedules.sync import changes

Make = Callable[..., Schedule]
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
BEFORE = State(cursor=NOW - timedelta(hours=1), runs=7, attempted=NOW, attempt=2)


def stored(schedule: Schedule, state: State = BEFORE, score: float | None = 1.0) -> Stored:
    return Stored(schedule.key, definition_of(schedule), state.to_json(), score)


def group(*schedules: Schedule, **fields: Any) -> Group:
    return Group(
        keys=GroupKeys("app", "default"), schedules={s.key: s for s in schedules}, **fields
    )


def put(schedule: Schedule, state: State) -> Put:
    return Put(schedule, definition_of(schedule), state)


def change(schedule: Schedule, before: Stored) -> list[Put | Drop | Park]:
    return list(changes(group(schedule), [before], NOW))


def test_a_new_schedule_starts_now(schedule: Make) -> None:
    """It does not fire the past."""
    assert list(changes(group(schedule()), [], NOW)) == [put(schedule(), State.starting(NOW))]


def test_what_is_unchanged_is_left_alone(schedule: Make) -> None:
    """A restart writes nothing."""
    assert change(schedule(), stored(schedule())) == []


def test_another_description_keeps_the_cursor(schedule: Make) -> None:
    """Only what is fired changes, not how far it got."""
    before = stored(schedule())
    assert change(schedule(description="new"), before) == [put(schedule(description="new"), BEFORE)]


def test_another_expression_starts_now(schedule: Make) -> None:
    """The past of the new expression was never promised; counters go on."""
    new = schedule(expression=Interval(timedelta(minutes=2)))
    (found,) = change(new, stored(schedule()))
    assert isinstance(found, Put)
    assert found.state == State(cursor=NOW, runs=7)


def test_an_enabled_schedule_starts_now(schedule: Make) -> None:
    """While it was disabled it had no occurrences."""
    (found,) = change(schedule(), stored(schedule(enabled=False), score=-1.0))
    assert isinstance(found, Put)
    assert found.state.cursor == NOW


def test_a_removed_schedule_is_dropped(schedule: Make) -> None:
    """With its progress."""
    assert list(changes(group(), [stored(schedule())], NOW)) == [Drop("clock/1/tick")]


def test_a_rejected_schedule_keeps_its_progress(schedule: Make) -> None:
    """It is not looked at, and goes on where it stopped once the manifest is corrected."""
    rejected = {"clock/1/tick": "PURISTA_SCHEDULER_CRON_INVALID"}
    assert list(changes(group(rejected=rejected), [stored(schedule())], NOW)) == [
        Park("clock/1/tick", "PURISTA_SCHEDULER_CRON_INVALID")
    ]
    assert change(schedule(), stored(schedule(), score=-1.0)) == [put(schedule(), BEFORE)]
    assert change(schedule(), stored(schedule(), score=None)) == [put(schedule(), BEFORE)]


@pytest.mark.parametrize(
    ("definition", "meta"),
    [("{", None), (None, None), ('{"schedule": {}}', "{}"), ("5", "[]"), (None, '{"cursor": 1}')],
)
def test_what_can_not_be_read_is_replaced(
    schedule: Make, definition: str | None, meta: str | None
) -> None:
    """As if it were seen for the first time."""
    before = Stored("clock/1/tick", definition, meta, 1.0)
    assert change(schedule(), before) == [put(schedule(), State.starting(NOW))]


def test_each_group_has_its_own_keys(schedule: Make) -> None:
    """A beat without a group hosts all of the manifest's; one with a group hosts only that."""
    tick, bill = schedule(), schedule(name="bill", group="billing")
    manifest = Manifest((tick, bill))
    both = plan("app", manifest).groups
    assert [(group.keys.group, set(group.schedules)) for group in both] == [
        ("billing", {"clock/1/bill"}),
        ("default", {"clock/1/tick"}),
    ]
    (alone,) = plan("app", manifest, "billing").groups
    assert alone == both[0]
    (empty,) = plan("app", manifest, "other").groups
    assert empty.schedules == {}


def test_what_can_not_be_fired_is_reported(schedule: Make) -> None:
    """Under its key, so that what is stored of it is kept; all targets can be fired."""
    malformed = Rejected("clock/1/broken", InvalidCron("…"))
    manifest = Manifest(
        (
            schedule(),
            schedule(name="job", target_kind="queue"),
            schedule(name="call", target_kind="command"),
            schedule(name="once", concurrency="forbid"),
        ),
        (malformed,),
    )
    made = plan("app", manifest)
    assert [entry.error.code for entry in made.rejected] == ["PURISTA_SCHEDULER_CRON_INVALID"]
    (group,) = made.groups
    assert set(group.schedules) == {f"clock/1/{name}" for name in ("tick", "job", "call", "once")}
    assert set(group.rejected) == {"clock/1/broken"}


def test_keys_are_redbeats_in_one_slot() -> None:
    """Everything of a group carries the same hash tag."""
    keys = GroupKeys("app", "billing")
    assert keys.entry("billing/1/monthly") == "{app:schedules:billing}:billing/1/monthly"
    assert keys.name(keys.entry("billing/1/monthly")) == "billing/1/monthly"
    assert keys.lock == "{app:schedules:billing}::lock"


def test_redbeat_can_read_what_we_store(schedule: Make) -> None:
    """The definition decodes to a schedule that Celery can ask, the meta to RedBeat's words."""
    definition = Entry.decode_definition(definition_of(schedule()))
    asked = definition["schedule"]
    assert isinstance(asked, StoredSchedule)
    assert asked.contract == schedule()
    assert Entry.decode_meta(BEFORE.to_json()) == {
        "last_run_at": BEFORE.cursor,
        "total_run_count": 7,
    }
    assert Entry.decode_meta(None) == {"last_run_at": None}
    long_ago = asked.is_due(NOW - timedelta(days=36_500))
    assert long_ago.is_due
    ahead = asked.is_due(asked.now())
    assert not ahead.is_due
    assert 0 < ahead.next <= 60
