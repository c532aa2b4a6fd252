"""Beats of one group on a real Redis, with a clock of the test's own."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import Any

import pytest
import redis
from redbeat.schedulers import ensure_conf

from purista_celery.contracts.schedule import Cron, OneShot
from purista_celery.errors import BrokerUnavailable, InvalidPayload, NotLeading
from purista_celery.schedules.clock import GivenClock
from purista_celery.schedules.entry import Entry
from purista_celery.schedules.leadership import Leadership
from purista_celery.schedules.occurrences import jitter
from purista_celery.schedules.operations import pause
from purista_celery.schedules.outlet import Outlet
from purista_celery.schedules.scripts import Scripts
from purista_celery.schedules.silence import Wakefulness
from purista_celery.schedules.state import State
from purista_celery.schedules.status import ScheduleStatus, statuses
from purista_celery.schedules.store import Step, Store

KEY = "clock/1/tick"


def status(world: Any) -> ScheduleStatus:
    (found,) = statuses(world.client, "app", ["default"], world.now)
    return found


def test_each_occurrence_is_published_once_and_on_time(world: Any, every: Any) -> None:
    """A schedule seen for the first time begins with its next occurrence."""
    world.run(world.beat(every()), seconds=35)
    assert world.fired == [10, 20, 30]
    assert [trigger.attempt for trigger in world.broker.triggers] == [1, 1, 1]
    assert all(trigger.fired_at == trigger.scheduled_at for trigger in world.broker.triggers)


def test_the_wait_ends_with_the_next_occurrence(world: Any, every: Any) -> None:
    """Or after one interval, whichever is earlier."""
    beat = world.beat(every(0.25))
    assert beat.tick() == 0.25
    assert world.beat(every()).tick() == 1.0


def test_the_status_tells_how_a_schedule_fares(world: Any, every: Any) -> None:
    """Next, last, lag and counters, read without being a beat."""
    beat = world.beat(every())
    world.run(beat, seconds=21)
    assert status(world) == ScheduleStatus(
        key=KEY,
        name="tick",
        group="default",
        enabled=True,
        next_occurrence=world.start + timedelta(seconds=30),
        last_occurrence=world.start + timedelta(seconds=20),
        last_published_at=world.start + timedelta(seconds=20),
        runs=2,
    )
    world.now += timedelta(seconds=12)
    assert status(world).lag == timedelta(seconds=3)


def test_redbeat_reads_the_entry(world: Any, every: Any) -> None:
    """It lies in RedBeat's layout, with the cursor as its last run."""
    import celery

    world.run(world.beat(every()), seconds=21)
    app = celery.Celery("reader", set_as_current=False)
    app.conf.update(redbeat_redis_url="redis://unused", redbeat_key_prefix=world.keys.prefix)
    app.redbeat_redis = world.client
    ensure_conf(app)
    entry = Entry.from_key(world.keys.entry(KEY), app=app)
    assert entry.key == world.keys.entry(KEY)
    assert entry.last_run_at == world.start + timedelta(seconds=20)
    assert entry.total_run_count == 2
    assert app.redbeat_conf.schedule_key == world.keys.schedule
    assert app.redbeat_conf.statics_key == world.keys.statics
    assert app.redbeat_conf.lock_key == world.keys.lock


def test_while_the_broker_is_away_nothing_is_skipped(world: Any, every: Any) -> None:
    """Not under ``skip`` either: late is not missed. Each try counts as an attempt."""
    beat = world.beat(every())
    world.run(beat, seconds=5)
    world.broker.away = True
    for _ in range(30):
        world.now += timedelta(seconds=1)
        try:
            beat.tick()
        except BrokerUnavailable:
            assert status(world).last_error == "PURISTA_SCHEDULER_PUBLISH_FAILED"
    assert status(world).runs == 0
    assert status(world).lag == timedelta(seconds=25)
    world.broker.away = False
    world.run(beat, seconds=1)
    assert world.fired == [10, 20, 30]
    assert [trigger.attempt for trigger in world.broker.triggers] == [27, 1, 1]
    assert status(world).last_error is None


@pytest.mark.parametrize("policy", ["skip", "runOnce", "backfill"])
def test_what_was_late_stays_late_for_the_next_leader(world: Any, every: Any, policy: str) -> None:
    """The broker was away, and the beat died before it came back."""
    beat = world.beat(every(missed_runs=policy))
    world.broker.away = True
    beat.tick()
    for _ in range(25):
        world.now += timedelta(seconds=1)
        try:
            beat.tick()
        except BrokerUnavailable:
            continue
    world.broker.away = False
    world.sleep(3)
    world.run(world.beat(every(missed_runs=policy)), seconds=3)
    assert world.fired == [10, 20, 30]


def test_a_crash_between_publish_and_advance_repeats_the_same_event(world: Any, every: Any) -> None:
    """The same id again, as attempt 2, so that a consumer can drop it."""
    beat = world.beat(every())
    world.run(beat, seconds=9)
    world.broker.killing = True
    with pytest.raises(SystemExit):
        world.run(beat, seconds=1)
    world.broker.killing = False
    world.sleep(5)
    world.run(world.beat(every()), seconds=1)
    first, second = world.broker.events
    assert (first.id, first.trace_id) == (second.id, second.trace_id)
    assert [trigger.attempt for trigger in world.broker.triggers] == [1, 2]
    assert world.fired == [10, 10]


@pytest.mark.parametrize(
    ("fields", "expected", "dropped"),
    [
        ({"missed_runs": "skip"}, [10, 70], 5),
        ({"missed_runs": "runOnce"}, [10, 60, 70], 4),
        ({"missed_runs": "backfill"}, [10, 20, 70], 4),
        ({"missed_runs": "backfill", "max_catch_up": 3}, [10, 20, 30, 40, 70], 2),
    ],
)
def test_a_restart_covers_the_downtime(
    world: Any, every: Any, fields: dict[str, Any], expected: list[int], dropped: int
) -> None:
    """As the schedule's policy says; what is dropped is counted."""
    world.run(world.beat(every(**fields)), seconds=15)
    world.sleep(50)
    world.run(world.beat(every(**fields)), seconds=10)
    assert world.fired == expected
    assert status(world).dropped == dropped


def test_a_standby_that_takes_over_misses_nothing(world: Any, every: Any) -> None:
    """It was awake while the dead leader's lock ran out: late, not missed, even under ``skip``."""
    leader, standby = world.beat(every()), world.beat(every())
    world.run(leader, standby, seconds=15)
    world.run(standby, seconds=20)  # The leader is dead, and its lock still there.
    assert world.fired == [10]
    world.client.delete(world.keys.lock)
    world.run(standby, seconds=1)
    assert world.fired == [10, 20, 30]


def test_a_beat_that_has_just_started_misses_nothing_another_waited_for(
    world: Any, every: Any
) -> None:
    """The leader died, a standby was awake, and a third beat takes the lock before it does."""
    leader, standby = world.beat(every()), world.beat(every())
    world.run(leader, standby, seconds=15)
    world.run(standby, seconds=20)
    fresh = world.beat(every())
    world.client.delete(world.keys.lock)
    world.run(fresh, standby, seconds=1)
    assert world.fired == [10, 20, 30]


def test_a_leader_that_can_not_publish_leaves_the_lead_to_a_waiting_beat(
    world: Any, every: Any
) -> None:
    """Its line to the broker is cut, the other's may be whole. Alone, it keeps trying."""
    cut, whole = world.beat(every()), world.beat(every())
    world.run(cut, seconds=9)
    world.broker.away = True
    for _ in range(3):
        world.now += timedelta(seconds=1)
        with pytest.raises(BrokerUnavailable):
            cut.tick()
    whole.tick()
    with pytest.raises(BrokerUnavailable):
        cut.tick()
    world.broker.away = False
    cut.tick()
    assert world.broker.events == []
    world.run(cut, whole, seconds=8)
    assert world.fired == [10, 20]
    assert whole.leadership.term


def test_only_the_leader_publishes(world: Any, every: Any) -> None:
    """Two beats, each occurrence once."""
    world.run(world.beat(every()), world.beat(every()), seconds=35)
    assert world.fired == [10, 20, 30]


def test_a_lock_lost_in_the_middle_of_a_tick_stops_it(world: Any, every: Any) -> None:
    """What is in flight is the last; the lock is checked before each publish."""
    beat = world.beat(every(), every(name="tock"))
    world.run(beat, seconds=9)
    world.broker.before = lambda: world.client.set(world.keys.lock, "somebody else")
    with pytest.raises(NotLeading):
        world.run(beat, seconds=1)
    assert len(world.broker.events) == 1
    assert beat.leadership.term is None
    world.broker.before = None
    world.run(beat, seconds=5)
    assert len(world.broker.events) == 1
    world.client.delete(world.keys.lock)  # It leads again, and goes on where it was.
    world.run(beat, seconds=1)
    assert world.fired == [10, 10, 10]
    assert len({event.id for event in world.broker.events}) == 2


def test_progress_moves_only_for_the_holder_of_the_lock(world: Any, every: Any) -> None:
    """And only from what it has seen. An answer that got lost may be asked for again."""
    scripts = Scripts(world.client)
    clock = GivenClock(lambda: world.now)
    awake = Wakefulness(clock.counter, timedelta(seconds=2))
    leader = Leadership(scripts, world.keys, timedelta(seconds=30), clock, awake)
    world.beat(every()).tick()
    world.client.delete(world.keys.lock)
    stranger = Store(world.client, scripts, world.keys, "stranger")
    (seen,) = [stored.read() for stored in stranger.load([KEY])]
    assert leader.hold()
    attempting = Step(seen, seen.state.attempting(world.now))
    with pytest.raises(NotLeading):
        stranger.advance(attempting)
    store = Store(world.client, scripts, world.keys, leader.token)
    assert store.advance(attempting) == store.advance(attempting) == [attempting.reached]
    again = Step(seen, attempting.state.attempting(world.now))
    assert store.advance(again) == [None]
    assert attempting.state.attempt == 1


def test_steps_of_several_schedules_are_judged_one_by_one(world: Any, every: Any) -> None:
    """One of them was paused, one was moved by somebody: the third is written down all the same."""
    beat = world.beat(every(name="a"), every(name="b"), every(name="c"))
    beat.tick()
    keys = [f"clock/1/{name}" for name in "abc"]
    store = Store(world.client, Scripts(world.client), world.keys, beat.leadership.token)
    seen = [stored.read() for stored in store.load(keys)]
    pause(world.client, world.keys, keys[0], world.now, "maintenance")
    world.client.hset(world.keys.entry(keys[1]), "meta", "moved")
    steps = [Step(t, t.state.attempting(world.now), publishing=True) for t in seen]
    assert store.advance(*steps) == [None, None, steps[2].reached]
    assert [stored.meta for stored in store.load(keys)] == [
        seen[0].meta,
        "moved",
        steps[2].reached.meta,
    ]


def test_a_changed_progress_is_left_to_the_next_tick(world: Any, every: Any) -> None:
    """Somebody wrote the meta in between: nothing crashes, and it is read again."""
    beat = world.beat(every())
    world.run(beat, seconds=9)
    other = State.starting(world.now + timedelta(seconds=5)).to_json()
    world.broker.before = lambda: world.client.hset(world.keys.entry(KEY), "meta", other)
    world.run(beat, seconds=1)
    world.broker.before = None
    world.run(beat, seconds=10)
    assert world.fired == [10, 20]


def test_the_lock_can_be_given_back(world: Any, every: Any) -> None:
    """Another beat goes on at once; a stranger's lock is left alone."""
    first, second = world.beat(every()), world.beat(every())
    first.tick()
    second.tick()
    second.release()
    assert world.client.exists(world.keys.lock)
    first.release()
    assert not world.client.exists(world.keys.lock)
    second.tick()
    assert second.leadership.term


def test_a_manifest_is_brought_in_under_the_lock(world: Any, every: Any) -> None:
    """Added, changed and removed entries; a standby changes nothing."""
    old = world.beat(every(), every(name="gone"))
    world.run(old, seconds=15)
    new = world.beat(every(description="new"), every(name="added"))
    new.tick()
    assert world.client.smembers(world.keys.statics) == {KEY, "clock/1/gone"}
    old.release()
    new.tick()
    assert world.client.smembers(world.keys.statics) == {KEY, "clock/1/added"}
    assert not world.client.exists(world.keys.entry("clock/1/gone"))
    world.run(new, seconds=5)
    assert world.fired == [10, 10, 20, 20]


def test_another_expression_begins_anew(world: Any, every: Any) -> None:
    """Nothing of the new expression's past is fired."""
    world.run(world.beat(every()), seconds=15)
    world.sleep(60)
    cron = every(expression=Cron("* * * * *"), missed_runs="backfill", max_catch_up=9)
    world.run(world.beat(cron), seconds=50)
    assert world.fired == [10, 120]


def test_more_entries_than_one_round_trip_holds(world: Any, every: Any) -> None:
    """All of them are stored, and all of them fire, in as many ticks as it takes."""
    beat = world.beat(*(every(name=f"tick{number}") for number in range(1201)))
    beat.tick()
    assert world.client.zcard(world.keys.schedule) == 1201
    world.now += timedelta(seconds=10)
    waits = [beat.tick() for _ in range(3)]
    assert waits == [0.0, 0.0, 1.0]
    assert len({event.id for event in world.broker.events}) == 1201


def test_disabled_and_finished_schedules_are_not_looked_at(world: Any, every: Any) -> None:
    """They are stored and listed, and cost no tick."""
    shot = every(name="shot", expression=OneShot(world.start + timedelta(seconds=5)))
    world.run(world.beat(every(enabled=False), shot), seconds=30)
    assert world.fired == [5]
    assert world.client.zrange(world.keys.schedule, 0, -1, withscores=True) == [
        (world.keys.entry("clock/1/shot"), -1.0),
        (world.keys.entry(KEY), -1.0),
    ]
    listed = statuses(world.client, "app", ["default"], world.now)
    assert [(found.enabled, found.next_occurrence) for found in listed] == [
        (True, None),
        (False, None),
    ]


@pytest.mark.parametrize("field", ["definition", "meta"])
def test_an_entry_that_can_not_be_read_stops_no_other(world: Any, every: Any, field: str) -> None:
    """It is set aside, reported, and repaired by the next sync."""
    beat = world.beat(every(), every(name="tock"))
    beat.tick()
    world.client.hset(world.keys.entry(KEY), field, "{")
    world.run(beat, seconds=15)
    assert [event.schedule.schedule_name for event in world.broker.events] == ["tock"]
    assert world.client.zscore(world.keys.schedule, world.keys.entry(KEY)) == -1
    listed = statuses(world.client, "app", ["default"], world.now)
    assert [found.last_error is None for found in listed] == [False, True]
    world.sleep(1)
    world.run(world.beat(every(), every(name="tock")), seconds=5)
    assert len(world.broker.events) == 3


def test_a_vanished_entry_is_not_looked_at_for_ever(world: Any, every: Any) -> None:
    """Somebody deleted the hash by hand."""
    beat = world.beat(every())
    beat.tick()
    world.client.delete(world.keys.entry(KEY))
    world.run(beat, seconds=15)
    assert world.fired == []
    assert world.client.zscore(world.keys.schedule, world.keys.entry(KEY)) == -1


def test_a_rejected_entry_goes_on_where_it_stopped(world: Any, every: Any) -> None:
    """A deployment with a broken manifest, and the next one that corrects it."""
    schedule = every(missed_runs="backfill", max_catch_up=99)
    world.run(world.beat(schedule), seconds=15)
    world.sleep(1)
    world.run(world.beat(rejected=(KEY,)), seconds=20)
    assert world.fired == [10]
    world.sleep(1)
    world.run(world.beat(schedule), seconds=4)
    assert world.fired == [10, 20, 30, 40]


def test_a_backlog_is_published_in_portions(world: Any, every: Any) -> None:
    """Others get their turn in between, and nothing is lost."""
    slow, busy = every(), every(0.1, name="busy")
    beat = world.beat(slow, busy)
    beat.tick()
    world.now += timedelta(seconds=20)
    beat._awake.look_ended()  # The beat was awake, and held up.
    beat.tick()
    assert len(world.broker.events) == 52
    while beat.tick() == 0:
        continue
    assert len(world.broker.events) == 202
    busy_times = [t.scheduled_at for t in world.broker.triggers if t.schedule_name == "busy"]
    assert busy_times == sorted(set(busy_times))


def test_the_store_being_away_ends_the_term(world: Any, every: Any) -> None:
    """The beat lives, and leads again when the store is back; its lock is still its own."""
    beat = world.beat(every())
    beat.tick()
    (kind,) = {type(world.client)}
    original = kind.execute_command

    def refuse(*_: object, **__: object) -> None:
        raise redis.ConnectionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "execute_command", refuse)
        for _ in range(15):
            world.now += timedelta(seconds=1)
            with pytest.raises(redis.ConnectionError):
                beat.tick()
    assert kind.execute_command is original
    world.run(beat, seconds=1)
    assert world.fired == [10]
    assert json.loads(world.client.hget(world.keys.entry(KEY), "meta"))["runs"] == 1


def test_an_occurrence_that_can_not_be_said_stops_no_other(world: Any, every: Any) -> None:
    """Its schedule is set aside and reported, and tried again with the next deployment."""
    beat = world.beat(every(name="a"), every(name="b"))
    world.run(beat, seconds=9)
    refused = InvalidPayload("Payload can not be written as JSON.")
    with pytest.MonkeyPatch.context() as patch:
        send = Outlet.send

        def refuse_a(outlet: Outlet, schedule: Any, *rest: Any) -> str:
            if schedule.name == "a":
                raise refused
            return send(outlet, schedule, *rest)

        patch.setattr(Outlet, "send", refuse_a)
        world.run(beat, seconds=21)
    assert world.fired == [10, 20, 30]
    a, b = statuses(world.client, "app", ["default"], world.now)
    assert (a.last_error, a.next_occurrence) == ("PURISTA_PAYLOAD_INVALID", None)
    assert (b.last_error, b.runs) == (None, 3)
    world.sleep(1)
    world.run(world.beat(every(name="a"), every(name="b")), seconds=1)
    assert world.broker.triggers[-1].schedule_name == "a"


@pytest.mark.parametrize("taken", [False, True])
def test_a_broker_that_outlasts_the_lock_is_what_is_reported(
    world: Any,
    every: Any,
    taken: bool,  # noqa: FBT001 - whether another beat leads by then
) -> None:
    """Not the loss of the lock: nobody took it, or who did has the schedule in hand."""
    beat, other = world.beat(every()), world.beat(every())
    world.run(beat, *([other] if taken else []), seconds=9)
    world.broker.away = True

    def hang() -> None:
        world.broker.before = None
        world.run(*([other] if taken else []), seconds=15)
        world.sleep(1)
        if taken:
            with pytest.raises(BrokerUnavailable):
                other.tick()

    world.broker.before = hang
    with pytest.raises(BrokerUnavailable):
        world.run(beat, seconds=1)
    assert status(world).last_error == "PURISTA_SCHEDULER_PUBLISH_FAILED"
    world.broker.away = False
    world.run(other if taken else beat, seconds=1)
    assert world.fired == [10, 20]
    assert world.broker.triggers[0].attempt == (3 if taken else 2)


@pytest.mark.parametrize("policy", ["skip", "runOnce"])
def test_what_was_attempted_is_late_not_missed(world: Any, every: Any, policy: str) -> None:
    """A beat hangs in its publish until it is killed; the next one has seen nothing of that."""
    beat = world.beat(every(missed_runs=policy))
    world.run(beat, seconds=9)
    world.broker.before = sys.exit
    with pytest.raises(SystemExit):
        world.run(beat, seconds=1)
    world.broker.before = None
    world.sleep(35)
    world.run(world.beat(every(missed_runs=policy)), seconds=5)
    assert world.fired == ([10, 50] if policy == "skip" else [10, 40, 50])
    assert world.broker.triggers[0].attempt == 2


def test_a_retry_waits_as_long_as_the_first_attempt(world: Any, every: Any) -> None:
    """An occurrence keeps its jitter over a restart of beat, and its own instant."""
    shaky = every(60, jitter_window=timedelta(seconds=50))
    delay = jitter(shaky, world.start + timedelta(seconds=60))
    assert timedelta(seconds=3) < delay
    world.run(world.beat(shaky), seconds=60 + int(delay.total_seconds()))
    assert (world.broker.events, status(world).last_error) == ([], None)
    world.broker.away = True
    world.sleep(1)
    with pytest.raises(BrokerUnavailable):
        world.run(world.beat(shaky), seconds=1)
    world.broker.away = False
    world.sleep(1)
    world.beat(shaky).tick()
    (trigger,) = world.broker.triggers
    assert (world.fired, trigger.attempt) == ([60], 2)
    assert trigger.fired_at - trigger.scheduled_at < delay + timedelta(seconds=4)


def test_what_was_published_before_is_written_down_when_it_is_set_aside(
    world: Any, every: Any
) -> None:
    """The second of two occurrences can not be said: the first counts, and none is tried again."""
    beat = world.beat(every(5, name="a", missed_runs="backfill", max_catch_up=5))
    world.run(beat, seconds=1)
    world.broker.away = True
    world.now += timedelta(seconds=12)
    with pytest.raises(BrokerUnavailable):
        beat.tick()
    world.broker.away = False
    sent: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        send = Outlet.send

        def refuse_the_second(outlet: Outlet, *rest: Any) -> str:
            if sent:
                raise InvalidPayload("Payload can not be written as JSON.")
            sent.append(send(outlet, *rest))
            return sent[0]

        patch.setattr(Outlet, "send", refuse_the_second)
        world.run(beat, seconds=20)
    assert world.fired == [5]
    (a,) = statuses(world.client, "app", ["default"], world.now)
    assert (a.last_error, a.next_occurrence, a.runs) == ("PURISTA_PAYLOAD_INVALID", None, 1)
