"""Beats killed, frozen and cut off at random: nothing lost, nothing early, nothing told twice.

Twenty seconds by default; ``PURISTA_CHAOS_SECONDS=600 PURISTA_CHAOS_SEED=1`` for longer.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from purista_celery.contracts.schedule import Interval
from purista_celery.ledger.connection import connect
from purista_celery.schedules.status import statuses
from tests.acceptance.beat.conftest import Clockwork, Heard, Post, clockwork_of
from tests.acceptance.beat.test_beat import SECOND, clock
from tests.support.line import Line
from tests.support.processes import staged
from tests.support.servers import RedisServer
from tests.support.waiting import until

SECONDS = float(os.environ.get("PURISTA_CHAOS_SECONDS", "20"))
SEED = int(os.environ.get("PURISTA_CHAOS_SEED", str(random.randrange(10**6))))
#: The configurable fail-over: a lock of 3.5 s, looked at each second.
LOCK, INTERVAL, FAIL_OVER = 3.5, 1.0, 6.0
BEATS = 3


class TroubledPost(Post):
    """A place where things go wrong."""

    def kill(self, rest: Callable[[float], object]) -> None:
        self.beat.kill()
        rest(1.0)
        self.start()
        until(lambda: "beat: Starting" in self.beat.text, "the next one looks")

    def freeze(self, rest: Callable[[float], object]) -> None:
        self.beat.signal(signal.SIGSTOP)
        rest(6.0)
        self.beat.signal(signal.SIGCONT)

    def cut_broker(self, rest: Callable[[float], object]) -> None:
        self._without(self.broker, self.broker.cut, rest)

    def hang_broker(self, rest: Callable[[float], object]) -> None:
        self._without(self.broker, self.broker.hang, rest)

    def cut_ledger(self, rest: Callable[[float], object]) -> None:
        self._without(self.ledger, self.ledger.cut, rest)

    def hang_ledger(self, rest: Callable[[float], object]) -> None:
        self._without(self.ledger, self.ledger.hang, rest)

    @staticmethod
    def _without(line: Line, lose: Callable[[], None], rest: Callable[[float], object]) -> None:
        lose()
        rest(4.0)
        line.mend()


@pytest.fixture(params=[False, True], ids=["two lines", "one line"])
def one_line(request: pytest.FixtureRequest) -> bool:
    """Whether a beat sees that its broker is the Redis that keeps its schedules."""
    return bool(request.param)


@pytest.fixture
def posts(tmp_path: Path, *, one_line: bool) -> Iterator[tuple[Clockwork, list[TroubledPost]]]:
    """Three beats of one group on one Redis, each over a line or two of its own."""
    server = RedisServer().start()
    made: list[TroubledPost] = []
    try:
        with staged(server.url, server.url, tmp_path) as stage:
            stage.extra["PURISTA_SCHEDULER_INTERVAL"] = str(INTERVAL)
            stage.extra["PURISTA_SCHEDULER_LOCK"] = str(LOCK)
            for clockwork in clockwork_of(stage):
                made += [TroubledPost.on(clockwork, one_line=one_line) for _ in range(BEATS)]
                yield clockwork, made
    finally:
        for post in made:
            post.close()
        server.close()


@dataclass(frozen=True)
class Fault:
    """What befell which beat, and when it began."""

    began: datetime
    what: str


@pytest.mark.timeout(SECONDS + 120)
def test_chaos_loses_nothing_and_is_never_early(
    posts: tuple[Clockwork, list[TroubledPost]], *, one_line: bool
) -> None:
    """One beat at a time is in trouble; the others keep each lag within the fail-over time.

    On one Redis each occurrence is told exactly once.
    """
    clockwork, places = posts
    clockwork.manifest(
        clock(
            second={},
            often={
                "expression": Interval(SECOND / 5),
                "missed_runs": "backfill",
                "max_catch_up": 100_000,
            },
        )
    )
    for place in places:
        place.start()
    clockwork.await_heard("second", 2)
    faults = list(troubles(places, random.Random(SEED)))
    story = f"seed {SEED}, faults {[f'{fault.began:%T} {fault.what}' for fault in faults]}"
    now = datetime.now(UTC)
    for name in ("second", "often"):
        until(
            lambda name=name: clockwork.heard(name)[-1].scheduled_at > now,
            lambda name=name: f"{name} is up to date; {story}; {clockwork.logs()}",
            timeout=3 * FAIL_OVER,
        )
    with connect(clockwork.stage.ledger_url) as client:
        found = statuses(client, clockwork.stage.namespace, ["default"], datetime.now(UTC))
    dropped = {status.name: status.dropped for status in found}
    # Policies drop where no beat was running, and that is none of these faults.
    assert dropped["often"] == 0
    for name, every in (("second", SECOND), ("often", SECOND / 5)):
        heard = clockwork.heard(name)
        moments = {event.scheduled_at for event in heard}
        due = (max(moments) - min(moments)) / every + 1
        assert len(moments) == due, f"{dropped[name]} of {name} were dropped by policy: {story}"
        assert len({event.id for event in heard}) == len(moments), story
        assert not one_line or len(heard) == len(moments), story
        assert all(event.fired_at >= event.scheduled_at for event in heard), story
        first = {event.id: event for event in reversed(heard)}.values()
        for event in first:
            lag, most = event.fired_at - event.scheduled_at, longest(event, faults)
            assert lag < most, f"{name} of {event.scheduled_at:%T} was {lag} late: {story}"
        worst = max(event.fired_at - event.scheduled_at for event in first)
        print(f"{name}: {len(heard)} events, {len(moments)} occurrences, worst lag {worst}")
    print(f"{len(faults)} faults, seed {SEED}")


def troubles(places: list[TroubledPost], dice: random.Random) -> Iterator[Fault]:
    """Let one beat at a time suffer, most often one that leads or has led."""
    ended = threading.Event()
    until_then = time.monotonic() + SECONDS
    while time.monotonic() < until_then:
        leading = [place for place in places if "leads group" in place.beat.text]
        place = dice.choice(leading or places) if dice.random() < 0.7 else dice.choice(places)
        fault = dice.choice(
            [
                *(place.kill, place.freeze),
                *(place.cut_broker, place.hang_broker, place.cut_ledger, place.hang_ledger),
            ]
        )
        yield Fault(datetime.now(UTC), f"{fault.__name__} {places.index(place)}")
        # It lasts longer than a lock, or ends sooner.
        fault(lambda longest: ended.wait(dice.uniform(0.2, longest)))
        ended.wait(dice.uniform(0.0, 2.0))


def longest(event: Heard, faults: list[Fault]) -> timedelta:
    """Return how late an event may be: a fail-over, and one more for each fault meanwhile."""
    more = sum(event.scheduled_at < fault.began <= event.fired_at for fault in faults)
    return timedelta(seconds=FAIL_OVER) * (1 + more)
