"""Pausing and resuming a schedule on a real Redis, whoever leads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from purista_celery.contracts.schedule import Interval
from purista_celery.errors import EntryMoved, ScheduleNotFound
from purista_celery.schedules import operations
from purista_celery.schedules.scripts import Scripts
from purista_celery.schedules.status import statuses

KEY = "clock/1/tick"


def pause(world: Any, reason: str = "maintenance") -> None:
    operations.pause(world.client, world.keys, KEY, world.now, reason)


def resume(world: Any, between: Any = "skip") -> None:
    operations.resume(world.client, world.keys, KEY, world.now, between)


def paused_for(world: Any, beat: Any, seconds: int) -> None:
    pause(world)
    world.run(beat, seconds=seconds)


@pytest.mark.parametrize(
    ("between", "expected", "dropped"),
    [
        ("skip", [10, 60], 4),
        ("once", [10, 50, 60], 3),
        ("all", [10, 20, 30, 40, 50, 60], 0),
    ],
)
def test_who_resumes_decides_about_the_time_between(
    world: Any, every: Any, between: str, expected: list[int], dropped: int
) -> None:
    """None, the latest, or all of the occurrences that came due in the pause."""
    beat = world.beat(every())
    world.run(beat, seconds=15)
    paused_for(world, beat, 40)
    assert world.fired == [10]
    resume(world, between)
    world.run(beat, seconds=5)
    assert world.fired == expected
    (status,) = statuses(world.client, "app", ["default"], world.now)
    assert (status.dropped, status.paused) == (dropped, None)


@pytest.mark.parametrize("between", ["skip", "once", "all"])
def test_a_pause_without_an_occurrence_drops_none(world: Any, every: Any, between: str) -> None:
    """Whatever the choice."""
    beat = world.beat(every())
    world.run(beat, seconds=12)
    paused_for(world, beat, 5)
    resume(world, between)
    world.run(beat, seconds=5)
    assert world.fired == [10, 20]


@pytest.mark.parametrize("between", ["skip", "once"])
def test_what_was_late_before_the_pause_is_published(world: Any, every: Any, between: str) -> None:
    """The pause decides about its own time only."""
    beat = world.beat(every())
    world.run(beat, seconds=9)
    world.now += timedelta(seconds=2)
    pause(world)
    world.run(beat, seconds=2)
    resume(world, between)
    world.run(beat, seconds=1)
    assert world.fired == [10]


def test_a_status_says_why_it_is_paused(world: Any, every: Any) -> None:
    """The first reason counts; nothing is due and nothing is late."""
    beat = world.beat(every())
    world.run(beat, seconds=15)
    paused_for(world, beat, 15)
    pause(world, "again")
    (status,) = statuses(world.client, "app", ["default"], world.now)
    assert (status.paused, status.enabled) == ("maintenance", True)
    assert (status.next_occurrence, status.lag) == (None, timedelta(0))


def test_a_pause_survives_restarts_and_deployments(world: Any, every: Any) -> None:
    """Of beat, with the same manifest, a changed one, and one that breaks the entry."""
    beat = world.beat(every())
    world.run(beat, seconds=5)
    pause(world)
    for schedules, rejected in [
        ((every(),), ()),
        ((every(description="new"),), ()),
        ((), (KEY,)),
        ((every(5),), ()),
    ]:
        world.sleep(1)
        beat = world.beat(*schedules, rejected=rejected)
        world.run(beat, seconds=15)
    assert world.fired == []
    resume(world)
    world.run(beat, seconds=10)
    assert len(world.fired) == 2


def test_who_resumes_decides_about_downtime_within_the_pause_too(world: Any, every: Any) -> None:
    """Beat was restarted during the pause; ``all`` means all, under ``skip`` as well."""
    world.run(world.beat(every()), seconds=15)
    pause(world)
    world.sleep(20)
    beat = world.beat(every())
    world.run(beat, seconds=10)
    resume(world, "all")
    world.run(beat, seconds=1)
    assert world.fired == [10, 20, 30, 40]


def test_a_pause_in_the_middle_of_a_tick_stops_the_next_publish(world: Any, every: Any) -> None:
    """What is in flight is the last."""
    beat = world.beat(every(1))
    beat.tick()
    world.now += timedelta(seconds=5)
    beat._awake.look_ended()
    world.broker.before = lambda: pause(world)
    beat.tick()
    world.broker.before = None
    world.run(beat, seconds=5)
    assert world.fired == [1]
    assert world.client.zscore(world.keys.schedule, world.keys.entry(KEY)) == -1


def test_resuming_against_beat_is_refused_to_be_tried_again(world: Any, every: Any) -> None:
    """The progress that was read is the one that is changed."""
    beat = world.beat(every())
    world.run(beat, seconds=5)
    pause(world)
    scripts = Scripts(world.client)
    keys = [world.keys.entry(KEY), world.keys.schedule]
    assert scripts.resume(keys=keys, args=["other", "{}", 1, "c"]) == "moved"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "score_of", lambda *_: world.client.hset(keys[0], "meta", "{}"))
        with pytest.raises(EntryMoved):
            resume(world)


def test_what_no_beat_has_seen_can_not_be_paused(world: Any) -> None:
    """The error says what is missing."""
    with pytest.raises(ScheduleNotFound, match="no beat has loaded"):
        pause(world)
    with pytest.raises(ScheduleNotFound, match="no beat has loaded"):
        resume(world)


def test_resuming_what_is_not_paused_changes_nothing(world: Any, every: Any) -> None:
    """Its late occurrences stay."""
    beat = world.beat(every())
    world.run(beat, seconds=5)
    world.now += timedelta(seconds=10)
    resume(world)
    assert (
        Scripts(world.client).resume(
            keys=[world.keys.entry(KEY), world.keys.schedule], args=["x", "y", 1, "c"]
        )
        == "done"
    )
    world.run(beat, seconds=1)
    assert world.fired == [10]


def test_millions_of_occurrences_in_a_pause_are_passed_at_once(world: Any, every: Any) -> None:
    """A pause of a year over a schedule of a tenth of a second."""
    busy = every(expression=Interval(timedelta(seconds=0.1)))
    world.run(world.beat(busy), seconds=1)
    pause(world)
    world.now += timedelta(days=365)
    resume(world, "once")
    world.client.delete(world.keys.lock)
    count = len(world.fired)
    world.beat(busy).tick()
    assert len(world.fired) == count + 1
