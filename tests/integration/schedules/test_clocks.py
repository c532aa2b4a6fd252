"""All beats go by the ledger's clock; one whose own clock differs does not lead."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest

from purista_celery.errors import NotLeading
from purista_celery.schedules.clock import LedgerClock, counter, utc_now
from purista_celery.schedules.silence import Silence
from tests.support.waiting import until

CODE = "PURISTA_SCHEDULER_CLOCK_DIFFERS"


class Machine:
    """A machine whose clock can be wrong, and whose line to the ledger can be slow."""

    def __init__(self) -> None:
        self.wrong_by = timedelta(0)
        #: Seconds that pass with each reading of the counter, so before and after a round trip.
        self.delayed_by = 0.0
        self._delayed = 0.0
        self.clock = LedgerClock(self.wall, self.counter)

    def wall(self) -> datetime:
        return utc_now() + self.wrong_by

    def counter(self) -> float:
        self._delayed += self.delayed_by
        return counter() + self._delayed


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_beat_goes_by_the_ledgers_clock(world: Any, every: Any, machine: Machine) -> None:
    """Its own may be wrong by less than a second: nothing fires early for that."""
    machine.wrong_by = timedelta(seconds=0.8)
    beat = world.beat(every(0.1), clock=machine.clock)
    until(lambda: beat.tick() >= 0 and len(world.broker.events) >= 3, "it fires", every=0)
    assert all(trigger.scheduled_at <= trigger.fired_at for trigger in world.broker.triggers)
    assert world.broker.triggers[-1].fired_at <= utc_now()


@pytest.mark.parametrize("hours", [1, -1])
def test_a_beat_whose_clock_is_wrong_does_not_lead(
    world: Any, every: Any, machine: Machine, hours: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once, by how much and what to do, and leads when its clock has been corrected."""
    machine.wrong_by = timedelta(hours=hours)
    beat = world.beat(every(0.05), clock=machine.clock)
    with caplog.at_level(logging.WARNING):
        assert [beat.tick() for _ in range(5)] == [1.0] * 5
        assert (world.broker.events, world.client.get(world.keys.lock)) == ([], None)
        assert caplog.text.count(CODE) == 1
        side = "ahead of" if hours > 0 else "behind"
        assert f"3600.0 s {side} the ledger's Redis" in caplog.text
        assert "NTP" in caplog.text
        machine.wrong_by = timedelta(0)
        until(lambda: beat.tick() >= 0 and world.broker.events, "it fires", every=0.01)
    assert caplog.text.count("agrees again") == 1
    assert caplog.text.count(CODE) == 1


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_costs_the_lead_and_no_occurrence(
    world: Any, every: Any, machine: Machine, hours: int
) -> None:
    """Another beat goes on at once: nothing fires early, and nothing waits for an hour."""
    leader, standby = (
        world.beat(every(0.05), clock=machine.clock),
        world.beat(every(0.05), clock=LedgerClock()),
    )
    until(lambda: leader.tick() >= 0 and world.broker.events, "it fires", every=0.01)
    machine.wrong_by = timedelta(hours=hours)
    leader.tick()
    assert leader.leadership.term is None
    before = len(world.broker.events)
    until(lambda: standby.tick() >= 0 and len(world.broker.events) > before + 2, "on")
    times = [trigger.scheduled_at for trigger in world.broker.triggers]
    assert times == [times[0] + n * timedelta(seconds=0.05) for n in range(len(times))]
    assert times[-1] <= utc_now()


def test_a_clock_that_jumps_in_the_middle_of_a_tick_stops_it(
    world: Any, every: Any, machine: Machine
) -> None:
    """The lock is renewed before the next publish, and the clocks are compared with it."""
    beat = world.beat(every(0.05, name="a"), every(0.05, name="b"), clock=machine.clock)

    def jump() -> None:
        world.broker.before = None
        machine.wrong_by = timedelta(hours=1)
        beat.leadership._renewed_at -= 1000  # A third of the lock has passed.

    world.broker.before = jump
    with pytest.raises(NotLeading):
        until(lambda: beat.tick() < 0, "it stops", every=0.01)
    assert len(world.broker.events) == 1
    assert world.client.get(world.keys.lock) is None


def test_a_slow_ledger_is_not_taken_for_a_wrong_clock(
    world: Any, every: Any, machine: Machine
) -> None:
    """What the round trip may account for is no difference; what is more than that is."""
    machine.delayed_by = 5.0
    beat = world.beat(every(), clock=machine.clock)
    for wrong_by in (0, -4):
        machine.wrong_by = timedelta(seconds=wrong_by)
        beat.tick()
        assert beat.leadership.term, f"{wrong_by} s"
    machine.wrong_by = timedelta(seconds=-30)
    beat.tick()
    assert beat.leadership.term is None
    assert timedelta(seconds=-26) < machine.clock.ahead < timedelta(seconds=-15)
    machine.wrong_by = timedelta(seconds=2)
    beat.tick()
    assert beat.leadership.term is None, "no round trip makes a clock run ahead"


def test_a_ledger_whose_clock_goes_back_is_told_of(
    world: Any, every: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """With the machine's, as where both are one: what was published is not published again."""
    beat = world.beat(every())
    world.run(beat, seconds=25)
    world.now -= timedelta(seconds=20)
    with caplog.at_level(logging.WARNING):
        world.run(beat, seconds=10)
    assert caplog.text.count("gone back by 19.0 s") == 1
    world.run(beat, seconds=20)
    assert world.fired == [10, 20, 30]


def test_a_ledger_whose_clock_goes_forward_makes_no_silence(world: Any, every: Any) -> None:
    """A beat that was started a minute before has not slept for the rest of the hour."""
    passed = [0.0]

    class Clock(LedgerClock):
        """Goes by the ledger, which says what the test says."""

        def to_tell(self) -> datetime:
            return world.now  # type: ignore[no-any-return]

    clock = Clock(lambda: world.now, lambda: passed[0])
    beat = world.beat(every(missed_runs="skip"), clock=clock)
    for seconds in (1, 1, 1, 60, 1, 1, 1):
        passed[0] += 1
        world.now += timedelta(seconds=seconds)
        beat.tick()
    assert world.fired == [10, 20, 30, 40, 50, 60]


def test_a_freeze_is_no_jump_of_the_ledgers_clock(world: Any, every: Any) -> None:
    """The counter goes on meanwhile, and the silence is found."""
    beat = world.beat(every())
    world.run(beat, seconds=5)
    world.sleep(60)
    beat.tick()
    at = [world.start + timedelta(seconds=seconds) for seconds in (5, 65)]
    assert beat.leadership.silences == (Silence(*at),)
