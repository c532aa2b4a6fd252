"""Beats interrupted at a chosen instant: after a publish, in mid-tick, while the broker is away."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from purista_celery.contracts.schedule import Interval
from purista_celery.contracts.service import Service
from purista_celery.ledger.connection import connect
from purista_celery.schedules.clock import utc_now
from purista_celery.schedules.status import statuses
from tests.acceptance.beat.conftest import Clockwork, Post
from tests.acceptance.beat.test_beat import SECOND, clock, gapless
from tests.acceptance.beat.test_overlap import APP
from tests.support.waiting import until

#: Seconds; short, so that who takes over does not make a test wait.
LOCK = "3"
#: What fail-over may take with this lock.
FAIL_OVER = 6


@pytest.fixture
def posts(redis_clockwork: Clockwork) -> Iterator[tuple[Clockwork, Post, Post]]:
    """Two places for beats on Redis."""
    redis_clockwork.stage.extra["PURISTA_SCHEDULER_LOCK"] = LOCK
    one, other = Post.on(redis_clockwork), Post.on(redis_clockwork)
    try:
        yield redis_clockwork, one, other
    finally:
        one.close()
        other.close()


def test_a_beat_killed_between_publish_and_advance_makes_one_job(
    posts: tuple[Clockwork, Post, Post],
) -> None:
    """The next beat repeats the event under the same id, as attempt 2; a strict binding tells."""
    clockwork, doomed, next_one = posts
    house = Service("house")
    house.schedule(
        "counted",
        Interval(SECOND),
        emits=house.event("house.counted"),
        missed_runs="backfill",
        max_catch_up=100,
    )
    clockwork.manifest(house)
    clockwork.stage.worker(APP, "-c", "1")
    doomed.start(wait=True)
    until(lambda: counted(clockwork), "events become jobs")

    def lose_the_store_before_a_publish(data: bytes) -> None:
        if b'"house.counted"' in data:
            doomed.ledger.hang()

    before = len(clockwork.heard("counted"))
    doomed.broker.watch = lose_the_store_before_a_publish
    clockwork.await_heard("counted", before + 1)
    until(lambda: doomed.ledger.hung, "the store is away")
    doomed.beat.kill()
    published = clockwork.heard("counted")[-1]

    last = next_one.start(wait=True)
    clockwork.await_heard("counted", before + 4)
    assert last.terminate() == 0
    heard = clockwork.heard("counted")
    attempts = [e.body["schedule"]["attempt"] for e in heard if e.id == published.id]
    assert attempts == [1, 2]
    ids = {event.id for event in heard}
    assert len(heard) == len(ids) + 1
    assert gapless(heard)

    def all_are_jobs() -> bool:
        jobs = counted(clockwork)
        # That is, those that were published since the worker has subscribed.
        return set(jobs) == {event.id for event in heard[-len(jobs) - 1 :]}

    until(all_are_jobs, "each occurrence has been a job")
    jobs = counted(clockwork)
    assert published.id in jobs
    assert set(jobs.values()) == {1}


def counted(clockwork: Clockwork) -> Counter[str]:
    """Return how often an event has become a job that ran, by the event's id."""
    path = clockwork.stage.directory / "chores.log"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(words[2] for line in lines if (words := line.split())[:2] == ["counted", "for"])


def test_a_leader_frozen_in_mid_tick_repeats_at_most_what_it_had_in_hand(
    posts: tuple[Clockwork, Post, Post],
) -> None:
    """It freezes at the thirtieth of sixty events; within six seconds another goes on with them."""
    clockwork, leader, standby = posts
    every = timedelta(seconds=5)
    names = [f"s{number}" for number in range(60)]
    clockwork.manifest(clock(**{name: {"expression": Interval(every)} for name in names}))
    frozen = leader.start(wait=True)
    standby.start()
    until(lambda: "beat: Starting" in standby.beat.text, "the standby has started")
    passed = 0
    since = threading.Event()

    def freeze_at_the_thirtieth(data: bytes) -> None:
        nonlocal passed
        passed += data.count(b'"clock.ticked"')
        if passed >= 30:
            leader.broker.watch = lambda _: None
            frozen.signal(signal.SIGSTOP)
            since.set()

    leader.broker.watch = freeze_at_the_thirtieth
    assert since.wait(20)
    until(standby.beat.leads, "the standby leads", FAIL_OVER)
    frozen.signal(signal.SIGCONT)
    for name in names:
        clockwork.await_heard(name, 3)
    assert frozen.alive
    heard = [event for name in names for event in clockwork.heard(name)]
    repeats = {identity: n for identity, n in Counter(e.id for e in heard).items() if n > 1}
    assert sum(repeats.values()) - len(repeats) <= 1, repeats
    for name in names:
        moments = sorted({event.scheduled_at for event in clockwork.heard(name)})
        assert moments[-1] - moments[0] == (len(moments) - 1) * every


@pytest.mark.parametrize("stage", ["rabbitmq"], indirect=True)
def test_while_the_broker_is_away_beat_lives_and_tells_its_lag(clockwork: Clockwork) -> None:
    """Nothing is skipped and nothing advances; with the broker back, everything is published."""
    post = Post.on(clockwork)
    clockwork.manifest(clock(second={}))
    try:
        beat = post.start(wait=True)
        clockwork.await_heard("second", 2)
        post.broker.cut()
        until(lambda: "is held up, nothing is skipped" in beat.text, "beat notices")
        namespace = clockwork.stage.namespace

        with connect(clockwork.stage.ledger_url) as client:

            def held_up() -> bool:
                (status,) = statuses(client, namespace, ["default"], utc_now())
                return (
                    status.lag > 3 * SECOND
                    and status.last_error == "PURISTA_SCHEDULER_PUBLISH_FAILED"
                )

            until(held_up, "the status tells the lag")
            (status,) = statuses(client, namespace, ["default"], utc_now())
        assert status.last_occurrence == clockwork.heard("second")[-1].scheduled_at
        assert beat.alive
        count = len(clockwork.heard("second"))
        post.broker.mend()
        heard = clockwork.await_heard("second", count + 6)
        assert gapless(heard)
        assert "goes on" in beat.text
    finally:
        post.close()
