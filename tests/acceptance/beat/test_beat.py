"""``celery -A beat beat``, as an operator starts, kills and restarts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

from purista_celery.contracts.schedule import Cron, Interval
from purista_celery.contracts.service import Service
from purista_celery.schedules.occurrences import occurrence_id
from tests.acceptance.beat.conftest import Clockwork, Heard
from tests.support.processes import ROOT
from tests.support.servers import RedisServer
from tests.support.waiting import until

SECOND = timedelta(seconds=1)
#: How long fail-over after the death of the leader may take by default.
FAIL_OVER = 16.0


def clock(**schedules: dict[str, Any]) -> Service:
    """Return a service with one schedule per argument, every second unless told."""
    service = Service("clock")
    ticked = service.event("clock.ticked")
    for name, fields in schedules.items():
        options = {"expression": Interval(SECOND), "emits": ticked, **fields}
        service.schedule(name, **options)
    return service


def gapless(heard: list[Heard]) -> bool:
    """Tell whether every second from the first to the last was heard."""
    moments = sorted({event.scheduled_at for event in heard})
    return moments[-1] - moments[0] == (len(moments) - 1) * SECOND


def test_beat_publishes_the_manifest_and_knows_no_business_code(clockwork: Clockwork) -> None:
    """Each second's event, on time, under the occurrence's id; no service module is imported."""
    clockwork.manifest(
        clock(
            second={"group": "fast"},
            minute={"expression": Cron("* * * * *", timezone="Europe/Berlin")},
        )
    )
    beat = clockwork.beat()
    heard = clockwork.await_heard("second", 3)
    assert gapless(heard)
    for event in heard:
        assert event.routing_key == event.body["eventName"] == "clock.ticked"
        assert event.id == occurrence_id("clock/1/second", event.scheduled_at)
        assert event.body["schedule"]["attempt"] == 1
        assert event.body["sender"]["serviceTarget"] == "fast"
        assert "payload" not in event.body
        assert timedelta(0) <= event.fired_at - event.scheduled_at < SECOND
    assert not {
        name
        for name in beat.modules()
        if name.split(".")[0] in {"examples", "services", "workers", "tests"}
    }
    assert beat.terminate() == 0


def test_a_restart_covers_the_downtime_as_each_schedule_says(redis_clockwork: Clockwork) -> None:
    """Under ``skip`` nothing of it, under ``runOnce`` the latest, under ``backfill`` the oldest."""
    clockwork = redis_clockwork
    clockwork.manifest(
        clock(
            skipping={"missed_runs": "skip"},
            once={"missed_runs": "runOnce"},
            filling={"missed_runs": "backfill", "max_catch_up": 2},
            all={"missed_runs": "backfill", "max_catch_up": 100},
        )
    )
    names = ("skipping", "once", "filling", "all")
    first = clockwork.beat()
    clockwork.await_heard("all", 2)
    # Between two steps: one that ends in the midst of one leaves some of them late, not missed.
    until(
        lambda: len({clockwork.heard(name)[-1].scheduled_at for name in names}) == 1,
        "all of one second are heard",
    )
    assert first.terminate() == 0
    before = {name: len(clockwork.heard(name)) for name in names}
    last = clockwork.heard("all")[-1].scheduled_at.timestamp()
    until(lambda: time.time() > last + 5, "five seconds of downtime")
    second = clockwork.beat()
    started = clockwork.await_heard("all", before["all"] + 5)[-1].fired_at
    for name in names:
        until(
            lambda name=name: clockwork.heard(name)[-1].scheduled_at > started,
            f"{name} is up to date",
        )
    later = {name: clockwork.heard(name)[before[name] :] for name in names}
    assert second.alive
    assert gapless(clockwork.heard("all"))
    caught_up = {
        name: len([event for event in events if event.scheduled_at < started - 2 * SECOND])
        for name, events in later.items()
    }
    assert "dropped" in second.text
    first_after = {name: events[0].scheduled_at for name, events in later.items()}
    oldest = min(first_after.values())
    assert first_after["filling"] == first_after["all"] == oldest
    assert gapless(later["skipping"])
    assert gapless(later["once"])
    # The latest missed occurrence comes right before the first that was not missed.
    assert first_after["skipping"] - first_after["once"] == SECOND
    # Two are filled in, and then it goes on where ``skip`` does.
    moments = [event.scheduled_at for event in later["filling"]]
    assert moments[1] == oldest + SECOND
    assert moments[2] == first_after["skipping"]
    assert caught_up["all"] > 2


def test_when_the_leader_is_killed_the_other_beat_takes_over(redis_clockwork: Clockwork) -> None:
    """Within 16 s by default; nothing is lost, and the standby had published nothing."""
    clockwork = redis_clockwork
    clockwork.manifest(clock(second={}))
    leader = clockwork.beat()
    standby = clockwork.beat(wait=False)
    until(lambda: "beat: Starting" in standby.text, "the standby has started")
    clockwork.await_heard("second", 3)
    assert not standby.leads()
    leader.kill()
    killed, count = time.time(), len(clockwork.heard("second"))
    clockwork.await_heard("second", count + 2, timeout=FAIL_OVER)
    assert time.time() - killed < FAIL_OVER
    assert standby.leads()
    clockwork.await_heard("second", count + 8)
    assert gapless(clockwork.heard("second"))


def test_a_clean_stop_hands_over_at_once(redis_clockwork: Clockwork) -> None:
    """The lock is given back, not left to expire."""
    clockwork = redis_clockwork
    clockwork.manifest(clock(second={}))
    first = clockwork.beat()
    second = clockwork.beat(wait=False)
    until(lambda: "beat: Starting" in second.text, "the standby has started")
    first.terminate()
    until(second.leads, "the standby leads", timeout=4)


def test_a_restart_of_redis_loses_nothing(own_redis: tuple[RedisServer, Clockwork]) -> None:
    """Broker and store are both away for a while; beat stays, and publishes what came due."""
    server, clockwork = own_redis
    clockwork.manifest(clock(second={}))
    beat = clockwork.beat()
    clockwork.await_heard("second", 2)
    server.stop()
    until(lambda: "is held up" in beat.text, "beat notices")
    server.start()
    count = len(clockwork.heard("second"))
    clockwork.await_heard("second", count + 5)
    assert beat.alive
    assert "goes on" in beat.text
    assert gapless(clockwork.heard("second"))


def test_without_a_manifest_beat_says_what_to_do() -> None:
    """It does not run idle."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PURISTA_")}
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "purista_celery.beat", "beat"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "PURISTA_SCHEDULE_MANIFEST is not set" in done.stderr
    assert "export schedule-manifest" in done.stderr


def test_a_second_application_on_the_same_prefix_ends_at_its_start(
    redis_clockwork: Clockwork,
) -> None:
    """It says whose the group is; the first one's beat goes on."""
    clockwork = redis_clockwork
    clockwork.manifest(clock(second={}))
    first = clockwork.beat()
    weather = Service("weather")
    weather.schedule("measure", Interval(SECOND), emits=weather.event("weather.due"))
    clockwork.manifest(weather)
    second = clockwork.beat(wait=False)
    assert second.process.wait(30) != 0
    assert "PURISTA_SCHEDULER_GROUP_CONFLICT" in second.text
    count = len(clockwork.heard("second"))
    clockwork.await_heard("second", count + 2)
    assert first.alive
    assert clockwork.heard("measure") == []
