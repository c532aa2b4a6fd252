"""Missed is what came due while no beat was running; all else is late, and published.

Compared with a model over histories of beats that start, stop, freeze and lose their store.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from purista_celery.schedules.host import GroupHost
from tests.integration.schedules.conftest import World, every
from tests.support.servers import RedisServer

PATIENCE = 2
#: For so long a beat that reaches the store again waits for what others have to say.
GRACE = 4
#: Seconds of a history, and after it, in which all is well.
LENGTH, AFTERWARDS = 40, 15

Span = tuple[int, int]


class Store(redis.Redis):
    """A Redis that can be away."""

    away = False

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if self.away:
            raise redis.ConnectionError("away")
        return super().execute_command(*args, **options)


@dataclass
class Beat:
    """One process, by what is to happen to it."""

    started: int
    stopped: int
    frozen: Span = (0, 0)
    host: GroupHost | None = None
    #: Seconds at which it looked, and at which it reached the store.
    looks: list[int] = field(default_factory=list)
    reached: list[int] = field(default_factory=list)

    def runs(self, now: int) -> bool:
        return self.started <= now < self.stopped and not self.frozen[0] < now <= self.frozen[1]

    def spells(self) -> Iterator[tuple[Span, int]]:
        """Yield when it was looking without a break, as far as it told, and when it did."""
        spell = self.looks[:1]
        for look in [*self.looks[1:], 10**6]:
            if spell and look - spell[-1] > PATIENCE:
                inside = [at for at in self.reached if spell[0] <= at <= spell[-1]]
                later = [at for at in self.reached if at > spell[-1]]
                if later and spell[-1] not in inside:
                    yield (spell[0], spell[-1]), later[0]
                elif inside:
                    yield (spell[0], inside[-1]), inside[-1]
                spell = []
            spell.append(look)


@dataclass
class Plan:
    """What is to happen. The first beat leads from the start."""

    first: Beat
    others: list[Beat]
    outages: list[Span]
    seed: int


@dataclass
class History:
    """Beats and outages of their store, played second by second."""

    world: World
    store: Store
    beats: list[Beat]
    outages: list[Span]
    random: random.Random

    def play(self) -> None:
        self.beats.append(Beat(LENGTH, 10**6))
        for second in range(LENGTH + AFTERWARDS):
            self.world.now = self.world.start + timedelta(seconds=second)
            self.store.away = any(first <= second < last for first, last in self.outages)
            running = [beat for beat in self.beats if beat.runs(second)]
            self._expire(running)
            self.random.shuffle(running)
            for beat in running:
                self._look(beat, second)

    def _expire(self, running: list[Beat]) -> None:
        """The lock of a beat that is gone runs out."""
        tokens = {beat.host.leadership.token for beat in running if beat.host}
        if self.world.client.get(self.world.keys.lock) not in tokens:
            self.world.client.delete(self.world.keys.lock)

    def _look(self, beat: Beat, second: int) -> None:
        if beat.host is None:
            beat.host = self.world.beat(every(1), client=self.store)
        beat.looks.append(second)
        with suppress(redis.ConnectionError):
            beat.host.tick()
            beat.reached.append(second)

    @property
    def told(self) -> list[tuple[Span, int]]:
        return [spell for beat in self.beats for spell in beat.spells()]

    def was_running(self, second: int) -> bool:
        """Some beat was, and the store heard of it before anybody had to decide."""
        first = min(at for beat in self.beats for at in beat.reached if at >= second)
        return any(
            began < second <= ended and heard < first + GRACE for (began, ended), heard in self.told
        )

    def was_silent(self, second: int) -> bool:
        """No beat was, nor within patience."""
        return not any(began - 1 <= second <= ended + PATIENCE for (began, ended), _ in self.told)


@pytest.fixture
def store(schedule_redis: RedisServer) -> Iterator[Store]:
    with Store(port=schedule_redis.port, decode_responses=True) as client:
        yield client


seconds = st.integers(0, LENGTH)
spans = st.tuples(seconds, seconds).map(lambda pair: (min(pair), max(pair)))
beats = st.builds(
    lambda life, frozen: Beat(life[0], life[1], frozen), spans, st.one_of(st.just((0, 0)), spans)
)
first_beats = st.builds(lambda stopped, frozen: Beat(0, stopped, frozen), st.integers(1, 40), spans)


# One outlasts an outage that the next leader was started in; the other dies in it.
@example(Plan(Beat(0, 99), [Beat(12, 99)], [(8, 20)], 2))
@example(Plan(Beat(0, 15), [Beat(12, 99)], [(8, 20)], 2))
@example(Plan(Beat(0, 99, (19, 21)), [Beat(12, 99)], [(8, 20)], 2))
# Two outages; the leader dies between them, the other runs through both.
@example(Plan(Beat(0, 15), [Beat(2, 99)], [(5, 12), (16, 28)], 3))
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.builds(Plan, first_beats, st.lists(beats, max_size=3), st.lists(spans, max_size=2), seconds)
)
def test_missed_is_only_what_came_due_while_no_beat_was_running(
    world: World, store: Store, plan: Plan
) -> None:
    """Whoever leads afterwards, whoever has died; and each occurrence is published once."""
    world.client.flushall()
    world.broker.events.clear()
    beats = [Beat(beat.started, beat.stopped, beat.frozen) for beat in (plan.first, *plan.others)]
    outages = [(max(1, begins), ends) for begins, ends in plan.outages]
    history = History(world, store, beats, outages, random.Random(plan.seed))
    history.play()
    fired = [int(second) for second in world.fired]
    assert all(one < other for one, other in pairwise(fired))
    for second in range(1, LENGTH):
        assert second in fired or not history.was_running(second), f"{second} was not published"
        assert second not in fired or not history.was_silent(second), f"{second} was published"


def test_what_came_due_before_a_clean_stop_is_late(world: World) -> None:
    """The beat was running until then, though it had not looked again."""
    beat = world.beat(every())
    world.run(beat, seconds=9)
    world.now += timedelta(seconds=1)
    beat.release()
    world.sleep(25)
    world.run(world.beat(every()), seconds=GRACE + 2)
    assert world.fired == [10, 40]


def test_each_outage_is_judged_when_its_occurrences_are_due(world: World) -> None:
    """With a jitter they may be due after the next restart, which was a short one."""
    shaky = every(5, jitter_window=timedelta(minutes=10))
    world.run(world.beat(shaky), seconds=1)
    outages = []
    for _ in range(2):
        began = int((world.now - world.start).total_seconds())
        world.sleep(20)
        world.run(world.beat(shaky), seconds=3)
        outages.append(range(began + 1, began + 20))
    world.sleep(1)
    world.run(world.beat(shaky), seconds=700)
    missed = [second for second in world.fired if any(second in outage for outage in outages)]
    assert missed == []
    assert max(world.fired) > 50


def test_a_leader_that_is_held_up_for_less_than_its_lock_is_late(world: World) -> None:
    """Nobody else could have led meanwhile, and a loaded machine drops nothing."""
    beat = world.beat(every(1))
    world.run(beat, seconds=5)
    world.now += timedelta(seconds=8)
    beat.tick()
    assert beat.leadership.silences == ()
    assert world.fired == list(range(2, 14))


def test_only_so_many_spells_are_kept(world: World) -> None:
    """Of a beat that is started anew all the time; the newest count."""
    for _ in range(120):
        beat = world.beat(every())
        beat.tick()
        world.sleep(10)
    assert len(beat.leadership.silences) == 99
    assert beat.leadership.silences[-1].until == world.now - timedelta(seconds=10)
    assert len(world.client.get(world.keys.looked).split()) == 100
