"""``Client.schedules``: what an application and its operators do, on a real Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from purista_celery import Client, EventMessage, Job, Service, compile_app
from purista_celery.contracts.schedule import Cron, Interval
from purista_celery.errors import InvalidMessage, ScheduleNotFound
from purista_celery.exports.manifest import read_manifest, schedule_manifest
from purista_celery.schedules.bell import Bell
from purista_celery.schedules.fire import occurrence_event
from purista_celery.schedules.foreign import foreign_outlet
from purista_celery.schedules.group import plan
from purista_celery.schedules.host import GroupHost
from purista_celery.schedules.keys import GroupKeys
from purista_celery.schedules.occurrences import trace_id
from purista_celery.schedules.state import Pause
from purista_celery.settings import Settings
from tests.support.servers import RedisServer
from tests.support.waiting import until

DAY = timedelta(days=1)


class Sweep(BaseModel):
    """What to sweep."""

    room: str


def declared() -> Service:
    house = Service("house")
    night = house.event("house.nightFell")
    sweeping = house.queue("house.sweeping", payload=Sweep)

    @sweeping.worker()
    def sweep(job: Job[Sweep, None]) -> None:
        del job

    @house.subscribe(night)
    def heard(event: EventMessage[None]) -> None:
        del event

    house.schedule("nightly", Cron("0 2 * * *", timezone="Europe/Berlin"), emits=night)
    house.schedule("hidden", Interval(DAY), emits=night, enabled=False, concurrency="forbid")
    house.schedule(
        "sweep", Interval(timedelta(seconds=10)), enqueues=sweeping, payload=Sweep(room="hall")
    )
    return house


@pytest.fixture
def app(schedule_redis: RedisServer) -> Any:
    """The compiled app on an empty Redis."""
    with schedule_redis.client() as client:
        client.flushall()
    return compile_app([declared()], Settings(broker_url=schedule_redis.url, namespace="app"))


@pytest.fixture
def host(app: Any, schedule_redis: RedisServer) -> Iterator[Callable[..., GroupHost]]:
    """Makes beats of the app's manifest."""
    with schedule_redis.client() as client:

        def make(**options: Any) -> GroupHost:
            manifest = read_manifest(schedule_manifest(app.purista_runtime.services))
            (group,) = plan("app", manifest).groups
            return GroupHost(
                group,
                client,
                foreign_outlet(app, client, "app", "beat"),
                interval=timedelta(seconds=1),
                lock_length=timedelta(seconds=30),
                **options,
            )

        yield make


def client_of(app: Any) -> Client:
    client: Client = app.purista
    return client


def test_a_status_for_every_declared_schedule(app: Any, host: Any) -> None:
    """Also before the first beat has run."""
    schedules = client_of(app).schedules
    before = schedules.list_status()
    assert [status.name for status in before] == ["hidden", "nightly", "sweep"]
    assert before[0].next_occurrence is None
    assert before[1].next_occurrence == schedules.preview("nightly", 1)[0]
    host().tick()
    hidden, nightly, sweep = schedules.list_status()
    assert (hidden.enabled, hidden.next_occurrence) == (False, None)
    assert nightly.next_occurrence == before[1].next_occurrence
    assert (sweep.runs, sweep.last_lag, sweep.lag) == (0, None, timedelta(0))


def test_a_preview_needs_no_server(app: Any) -> None:
    """The next occurrences, in UTC; the zone's clocks change in between."""
    after = datetime(2026, 3, 27, 12, tzinfo=UTC)
    assert [
        moment.isoformat() for moment in client_of(app).schedules.preview("nightly", 3, after)
    ] == ["2026-03-28T01:00:00+00:00", "2026-03-29T01:00:00+00:00", "2026-03-30T00:00:00+00:00"]


def test_pause_and_resume(app: Any, host: Any) -> None:
    """By name or by key; a status tells."""
    schedules = client_of(app).schedules
    host().tick()
    schedules.pause("sweep", "spring cleaning")
    assert [s.paused for s in schedules.list_status()] == [None, None, "spring cleaning"]
    schedules.resume("house/1/sweep", between="all")
    assert [s.paused for s in schedules.list_status()] == [None, None, None]
    assert schedules.list_status()[2].next_occurrence is not None


def test_a_name_that_nobody_or_several_have(schedule_redis: RedisServer, app: Any) -> None:
    """Is refused; the key tells several apart."""
    with pytest.raises(ScheduleNotFound, match="No schedule 'daily'"):
        client_of(app).schedules.pause("daily")
    barn = Service("barn")
    barn.schedule("nightly", Interval(DAY), emits=barn.event("barn.nightFell"))
    both = compile_app([declared(), barn], Settings(broker_url=schedule_redis.url))
    with pytest.raises(ScheduleNotFound, match="barn/1/nightly, house/1/nightly"):
        client_of(both).schedules.preview("nightly")
    assert client_of(both).schedules.preview("barn/1/nightly", 1)


def test_an_instant_without_a_zone_is_refused(app: Any) -> None:
    """Which clock was meant must not be guessed."""
    schedules, local = client_of(app).schedules, datetime(2026, 3, 27, 12)  # noqa: DTZ001
    with pytest.raises(InvalidMessage, match=r"at 2026-03-27T12:00:00 has no time zone"):
        schedules.trigger("nightly", local)
    with pytest.raises(InvalidMessage, match=r"after 2026-03-27T12:00:00 has no time zone"):
        schedules.preview("nightly", after=local)


def test_a_schedule_enqueues_without_an_event_between(app: Any, host: Any) -> None:
    """Beat knows the queue by name alone; the job is the contract's, once per occurrence."""
    now = [datetime(2026, 5, 1, 12, tzinfo=UTC)]
    beat = host(clock=lambda: now[0])
    for _ in range(12):
        beat.tick()
        now[0] += timedelta(seconds=1)
    (job,) = client_of(app).jobs("house.sweeping")
    at = datetime(2026, 5, 1, 12, 0, 10, tzinfo=UTC)
    assert job.trace_id == trace_id("house/1/sweep", at)
    assert (job.payload, job.max_attempts, job.status) == ({"room": "hall"}, 10, "pending")
    stored = app.purista_runtime.ledger.message("house.sweeping", job.job_id)
    # The schedule's service is not the queue's: a worker must not wait for a version of that.
    assert "serviceVersion" not in stored
    again = client_of(app).schedules.trigger("sweep", at)
    assert (again.id, again.target, again.scheduled_at) == (job.job_id, "house.sweeping", at)
    assert len(client_of(app).jobs("house.sweeping")) == 1
    client_of(app).schedules.trigger("sweep")
    assert len(client_of(app).jobs("house.sweeping")) == 2


def test_the_jobs_message_says_which_occurrence_it_is(app: Any) -> None:
    """In headers that its handler can read."""
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    fired = client_of(app).schedules.trigger("sweep", at)
    message = app.purista_runtime.ledger.message("house.sweeping", fired.id)
    assert '"purista.scheduledAt":"2026-05-01T12:00:00.000Z"' in message
    assert '"purista.scheduleKey":"house/1/sweep"' in message


def test_an_event_of_a_schedule_that_must_not_overlap_names_its_occurrence(app: Any) -> None:
    """As its correlation, which every job that follows inherits; others have none."""
    at = datetime(2026, 5, 1, tzinfo=UTC)
    schedules = {s.name: s for s in client_of(app).schedules.list()}
    hidden, nightly = (
        occurrence_event(schedules[name], at, at, attempt=1, instance_id="i")
        for name in ("hidden", "nightly")
    )
    assert hidden.correlation_id == f"purista.occurrence:house/1/hidden:{hidden.id}"
    assert nightly.correlation_id is None


def test_a_change_wakes_a_waiting_beat(app: Any, host: Any, schedule_redis: RedisServer) -> None:
    """It does not wait for its next tick."""
    beat = host()
    beat.tick()
    with schedule_redis.client() as listening, schedule_redis.client() as client:
        channel = beat.group.keys.changes
        bell = Bell(listening, [channel])
        bell.wait(0)
        until(lambda: dict(client.pubsub_numsub(channel))[channel], "the bell listens")
        schedules = client_of(app).schedules
        schedules.pause("sweep")
        schedules.resume("sweep")
        began = datetime.now(UTC)
        bell.wait(20)
        assert datetime.now(UTC) - began < timedelta(seconds=10)
        bell.close()


def test_an_operator_goes_by_the_ledgers_clock(
    app: Any, host: Callable[..., GroupHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As beats do: what came due before or after a pause is not a matter of who pauses it."""
    host().tick()
    schedules, ledger = app.purista.schedules, app.purista_runtime.ledger
    later = datetime(2031, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(ledger.workers, "now_ms", lambda: int(later.timestamp() * 1000))
    schedules.pause("sweep")
    keys = GroupKeys("app", "default")
    stored = ledger.client.hget(keys.entry("house/1/sweep"), "paused")
    assert Pause.from_wire(stored).since == later
    schedules.resume("sweep")
    status = {found.name: found for found in schedules.list_status()}["sweep"]
    assert status.lag > 365 * DAY, "what came due before the pause is late"
