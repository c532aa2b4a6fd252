"""What is published, what is dropped, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from purista_celery.contracts.schedule import OneShot, Schedule
from purista_celery.schedules.due import due, looked_at, missed
from purista_celery.schedules.occurrences import jitter
from purista_celery.schedules.silence import Silence, Spell, Wakefulness, silences
from purista_celery.schedules.state import State

Make = Callable[..., Schedule]
NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def fired(
    schedule: Schedule, state: State, now: datetime, gone: Silence | None = None
) -> list[float]:
    """Settle and publish, and return the published occurrences in minutes after noon."""
    drop = missed(schedule, state, gone) if gone else None
    if drop:
        state = state.dropping(drop, schedule.expression)
    return [(moment - NOON) / timedelta(minutes=1) for moment in due(schedule, state, now, 1000)]


def test_nothing_is_due_before_its_time(schedule: Make) -> None:
    """Never early: the next occurrence waits until its instant has come."""
    state = State.starting(at(0))
    assert due(schedule(), state, at(0.99), 10) == ()
    assert due(schedule(), state, at(1), 10) == (at(1),)
    assert looked_at(schedule(), state) == at(1)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"missed_runs": "skip"}, [8, 9, 10]),
        ({"missed_runs": "runOnce"}, [7, 8, 9, 10]),
        ({"missed_runs": "backfill"}, [3, 8, 9, 10]),  # max_catch_up is 1 by default
        ({"missed_runs": "backfill", "max_catch_up": 3}, [3, 4, 5, 8, 9, 10]),
        ({"missed_runs": "backfill", "max_catch_up": 100}, [3, 4, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_policies_decide_about_what_came_due_in_silence(
    schedule: Make, fields: dict[str, object], expected: list[int]
) -> None:
    """Late occurrences of before (1, 2) and after (8 to 10) the silence are always published."""
    gone = Silence(after=at(2.5), until=at(7.5))
    assert fired(schedule(**fields), State.starting(at(0)), at(10), gone) == [1, 2, *expected]


@pytest.mark.parametrize("policy", ["skip", "runOnce", "backfill"])
def test_a_single_missed_occurrence_is_published_under_every_policy(
    schedule: Make, policy: str
) -> None:
    """PURISTA's ``skip`` skips where several were missed: a redeployment costs no monthly run."""
    gone = Silence(after=at(0.5), until=at(1.5))
    assert fired(schedule(missed_runs=policy), State.starting(at(0)), at(1.6), gone) == [1]


@pytest.mark.parametrize("policy", ["skip", "runOnce", "backfill"])
def test_without_silence_nothing_is_dropped(schedule: Make, policy: str) -> None:
    """A broker that was away for five minutes makes occurrences late, not missed."""
    found = fired(schedule(missed_runs=policy), State.starting(at(0)), at(5))
    assert found == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("policy", ["skip", "runOnce", "backfill"])
def test_deciding_twice_drops_nothing_more(schedule: Make, policy: str) -> None:
    """The same silence is looked at again in each tick of a term."""
    gone, tick = Silence(after=at(0), until=at(9.5)), schedule(missed_runs=policy)
    drop = missed(tick, State.starting(at(0)), gone)
    assert drop is not None
    assert missed(tick, State.starting(at(0)).dropping(drop, tick.expression), gone) is None


def test_a_decision_outlives_a_crash_in_the_middle(schedule: Make) -> None:
    """What backfill dropped stays dropped for the next leader, who knows of no silence."""
    tick = schedule(missed_runs="backfill", max_catch_up=2)
    state = State.starting(at(0))
    drop = missed(tick, state, Silence(after=at(0), until=at(9.5)))
    assert drop is not None
    state = state.dropping(drop, tick.expression).attempting(at(1)).fired(at(1), at(10))
    restored = State.from_wire(state.to_json())
    assert restored == state
    assert fired(tick, restored, at(11)) == [2, 10, 11]
    assert restored.dropped == 7


def test_dropped_stretches_don_t_pile_up(schedule: Make) -> None:
    """A cursor that has nothing to publish before a gap passes it."""
    tick, state = schedule(), State.starting(at(0))
    for hour in range(1, 20):
        gone = Silence(after=at(60 * hour - 59), until=at(60 * hour))
        drop = missed(tick, state, gone)
        assert drop is not None
        state = state.dropping(drop, tick.expression)
        state = state.fired(at(60 * hour + 1), at(60 * hour + 1))
    assert state.gaps == ()


def test_a_tick_publishes_a_bounded_number(schedule: Make) -> None:
    """The oldest come first; the rest waits."""
    assert due(schedule(), State.starting(at(0)), at(50), 2) == (at(1), at(2))


def test_disabled_schedules_are_never_due(schedule: Make) -> None:
    """And are not looked at."""
    assert due(schedule(enabled=False), State.starting(at(0)), at(5), 9) == ()
    assert looked_at(schedule(enabled=False), State.starting(at(0))) is None


def test_a_one_shot_that_fired_is_not_looked_at_again(schedule: Make) -> None:
    """Though its instant is finer than the milliseconds that are remembered."""
    shot = schedule(expression=OneShot(at(1) + timedelta(microseconds=123_456)))
    (moment,) = due(shot, State.starting(at(0)), at(2), 9)
    state = State.from_wire(State.starting(at(0)).fired(moment, at(2)).to_json())
    assert due(shot, state, at(3), 9) == ()
    assert looked_at(shot, state) is None


def test_jitter_delays_but_never_reorders(schedule: Make) -> None:
    """An occurrence is due when its jitter has passed, and waits for the one before it."""
    shaky = schedule(jitter_window=timedelta(seconds=50))
    state, delay = State.starting(at(0)), jitter(shaky, at(1))
    assert looked_at(shaky, state) == at(1) + delay
    assert due(shaky, state, at(1) + delay - timedelta(milliseconds=1), 9) == ()
    assert due(shaky, state, at(1) + delay, 9) == (at(1),)


def test_attempts_are_counted_per_occurrence() -> None:
    """A repeat of the same occurrence counts up; the next one begins at 1."""
    state = State.starting(at(0)).attempting(at(1)).attempting(at(1))
    assert state.attempt == 2
    assert state.fired(at(1), at(1)).attempting(at(2)).attempt == 1


def test_silence_is_what_lies_between_spells() -> None:
    """Before the first of them nobody knows of any schedule."""
    assert silences([]) == silences([Spell(at(0), at(5))]) == ()
    spells = [Spell(at(0), at(5)), Spell(at(7), at(7)), Spell(at(9), at(20))]
    assert silences(spells) == (Silence(at(5), at(7)), Silence(at(7), at(9)))


@dataclass
class Counter:
    """Seconds that a test lets pass."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_process_that_slept_was_not_looking() -> None:
    """Stopped for a minute, it was awake before and after; how long a look takes is no sleep."""
    counter = Counter()
    awake = Wakefulness(counter, timedelta(seconds=2))
    for pause in (1, 2, 60, 1):
        counter.now += pause
        awake.look_begins()
        counter.now += 7
        awake.look_ended()
    assert awake.since(float("-inf")) == ((92, 75), (15, 0))
    counter.now += 1
    assert awake.since(told=130) == ((16, 0),), "what the ledger has heard of is not repeated"
    assert awake.since(told=116) == ((93, 76), (16, 0)), "it may not have heard of all of it"


def test_only_so_many_sleeps_are_remembered() -> None:
    """Of a process that never reaches its ledger."""
    counter = Counter()
    awake = Wakefulness(counter, timedelta(seconds=2))
    for _ in range(1000):
        counter.now += 60
        awake.look_begins()
    assert len(awake.since(0)) == 20
