"""What an occurrence does to the jobs of the one before, by what the ledger knows of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from purista_celery import ResultEvents, Service, Settings, compile_app
from purista_celery.contracts.receipt import Receipt
from purista_celery.ledger import underway
from purista_celery.messages.envelope import AnyEvent
from purista_celery.messages.job import JobMessage
from purista_celery.messages.result import JobResult, ResultStatus
from purista_celery.runtime.relay import Relay
from purista_celery.runtime.results import publish_results, result_events
from purista_celery.runtime.router import Router
from purista_celery.schedules.status import statuses
from tests.support.waiting import until

#: Result events that end a job's work, or only tell of it, by their field in the policy.
NEWS = {
    "cancelled": "wash.cancelled",
    "failure": "wash.failed",
    "dead_letter": "wash.dead",
    "progress": "wash.progress",
}
#: Who hears a status.
SUBSCRIBERS: dict[ResultStatus, str] = {
    "cancelled": "cancelled",
    "failed": "failure",
    "dead-lettered": "dead_letter",
    "progress": "progress",
    "success": "success",
}


def store(world: Any, job_id: str, correlation_id: str | None, queue: str = "work") -> Receipt:
    """Store a job as a router or a handler does."""
    job = JobMessage(
        id=job_id, queue_name=queue, created_at=0, max_attempts=3, correlation_id=correlation_id
    )
    receipt = world.ledger.enqueue(job)
    underway.note(world.ledger, job.correlation_id, [receipt])
    return receipt


def take(world: Any, job_id: str) -> None:
    """Store a job of the last occurrence, as the router does with its event."""
    store(world, job_id, world.broker.events[-1].correlation_id)


def finish(world: Any, job_id: str) -> None:
    """Let a worker take a job and complete it."""
    ledger = world.ledger
    hour = timedelta(hours=1)
    ledger.claim("work", job_id, fence="f", worker="w", lease=hour, longest_hold=hour)
    assert ledger.complete("work", job_id, "f", "null", keep_key=hour)


def state(world: Any, job_id: str) -> str:
    return str(world.client.hget(world.ledger.keys("work").job(job_id), "state"))


def test_forbid_skips_while_jobs_of_the_last_are_unfinished(world: Any, every: Any) -> None:
    """One of two jobs is enough, waiting or held; what is skipped is counted and not caught up."""
    beat = world.beat(every(concurrency="forbid"))
    world.run(beat, seconds=11)
    take(world, "a")
    take(world, "b")
    finish(world, "a")
    world.run(beat, seconds=20)
    assert world.fired == [10]
    finish(world, "b")
    world.run(beat, seconds=10)
    assert world.fired == [10, 40]
    (status,) = statuses(world.client, "app", ["default"], world.now)
    assert (status.skipped, status.dropped, status.runs) == (2, 0, 2)


def test_forbid_waits_for_an_event_that_nobody_has_taken_yet(world: Any, every: Any) -> None:
    """It becomes a job when the workers are back. After a day without a taker it is over."""
    beat = world.beat(every(concurrency="forbid"))
    world.run(beat, seconds=25)
    assert world.fired == [10]
    (key,) = world.client.keys("{app:occurrences}:*")
    assert 0 < world.client.ttl(key) <= 24 * 3600
    world.client.delete(key)
    world.run(beat, seconds=10)
    assert world.fired == [10, 30]


def test_forbid_looks_at_what_followed_too(world: Any, every: Any) -> None:
    """A binding's job is done, and the job that it enqueued is not."""
    beat = world.beat(every(concurrency="forbid"))
    world.run(beat, seconds=11)
    take(world, "binding")
    store(world, "work", world.broker.events[-1].correlation_id, "other")
    finish(world, "binding")
    world.run(beat, seconds=10)
    assert world.fired == [10]


def test_replace_cancels_what_waits_and_asks_what_runs(world: Any, every: Any) -> None:
    """And cancels what still comes of the occurrence that was replaced."""
    beat = world.beat(every(concurrency="replace"))
    world.run(beat, seconds=11)
    old = world.broker.events[-1].correlation_id
    hour = timedelta(hours=1)
    for job_id in ("waits", "runs", "done"):
        take(world, job_id)
    world.ledger.claim("work", "runs", fence="g", worker="w", lease=hour, longest_hold=hour)
    finish(world, "done")
    world.run(beat, seconds=10)
    assert world.fired == [10, 20]
    assert [state(world, job_id) for job_id in ("waits", "runs", "done")] == [
        "cancelled",
        "leased",
        "completed",
    ]
    assert world.ledger.report("work", "runs", "g") == (True, True)
    store(world, "late", old)
    assert state(world, "late") == "cancelled"
    take(world, "new")
    assert state(world, "new") == "ready"


def test_a_repeat_after_a_crash_is_not_in_its_own_way(world: Any, every: Any) -> None:
    """The same occurrence again: it is compared with the one before."""
    beat = world.beat(every(concurrency="forbid"))
    world.run(beat, seconds=9)
    world.broker.killing = True
    with pytest.raises(SystemExit):
        world.run(beat, seconds=1)
    world.broker.killing = False
    take(world, "a")
    world.sleep(1)
    world.run(world.beat(every(concurrency="forbid")), seconds=1)
    assert [trigger.attempt for trigger in world.broker.triggers] == [1, 2]


def test_many_jobs_of_an_occurrence_are_all_looked_at(world: Any, every: Any) -> None:
    """More than one round trip holds; the last of them is the unfinished one."""
    beat = world.beat(every(concurrency="forbid"))
    world.run(beat, seconds=11)
    marker = world.broker.events[-1].correlation_id
    receipts = [Receipt(f"gone-{n}", "work") for n in range(1500)]
    underway.note(world.ledger, marker, receipts)
    world.run(beat, seconds=10)
    assert world.fired == [10, 20]
    underway.note(world.ledger, world.broker.events[-1].correlation_id, receipts)
    take(world, "left")
    world.run(beat, seconds=10)
    assert world.fired == [10, 20]


def test_other_jobs_are_not_written_down(world: Any) -> None:
    """A correlation of the application's own costs nothing."""
    store(world, "a", None)
    store(world, "b", "order-7")
    assert world.client.keys("{app:occurrences}:*") == []


@pytest.mark.parametrize("delivery", ["required", "best-effort"])
def test_what_beat_cancels_is_announced_as_the_contract_says(world: Any, delivery: str) -> None:
    """Beat knows no result policy: a relay makes the event, or none where none is asked for."""
    shop = Service("shop")
    told, quiet = (
        shop.queue(name, payload=Any, results=results)
        for name, results in (
            ("told", ResultEvents(cancelled="told.cancelled", delivery=delivery)),  # type: ignore[arg-type]
            ("quiet", ResultEvents(success="quiet.done", delivery=delivery)),  # type: ignore[arg-type]
        )
    )
    for queue in (told, quiet):
        queue.worker()(lambda job: job.payload)
    url = "redis://{host}:{port}/0".format(**world.client.get_connection_kwargs())
    app: Any = compile_app([shop], Settings(broker_url=url, namespace="app"))
    heard: list[AnyEvent] = []
    relay = Relay(app.purista_runtime)
    marker = underway.correlation_of("clock/1/tick", "o-1")
    for name in ("told", "quiet"):
        store(world, f"job-{name}", marker, name)
    gone = store(world, "job-gone", marker, "told")
    assert underway.replace(world.ledger, marker) == 3
    world.client.delete(world.ledger.keys("told").job(gone.job_id))
    for name in ("told", "quiet"):
        times = world.ledger.keys(name).outbox_times
        for event_id in world.client.zrange(times, 0, -1):
            world.client.zadd(times, {event_id: 1})

    def hear(event: AnyEvent, producer: object, *, required: bool) -> None:
        assert required
        heard.append(event)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.purista_runtime.publisher, "publish", hear)
        relay.look()
        relay.look()
    relay.close()

    (event,) = heard
    assert (event.id, event.event_name) == ("job-told:cancelled", "told.cancelled")
    result = JobResult[Any].from_wire(event.payload)
    assert (result.job_id, result.status, result.reason) == ("job-told", "cancelled", "replaced")
    assert result.correlation_id == event.correlation_id == marker
    assert [world.client.hlen(world.ledger.keys(n).outbox) for n in ("told", "quiet")] == [0, 0]


@pytest.fixture
def heard(world: Any) -> Iterator[Any]:
    """An app whose queue tells all of its jobs, and whose subscriptions are routed."""
    shop = Service("shop")
    wash = shop.queue("wash", payload=Any, results=ResultEvents(**NEWS, success="wash.done"))
    wash.worker()(lambda job: job.payload)
    for status, event in {**NEWS, "success": "wash.done"}.items():
        shop.subscribe(event, name=status)(lambda event: None)
    url = "redis://{host}:{port}/0".format(**world.client.get_connection_kwargs())
    app: Any = compile_app([shop], Settings(broker_url=url, namespace="app"))
    router = Router(app.purista_runtime)
    router.start()
    yield app
    router.stop()
    app.close()


def tell(app: Any, marker: str, status: ResultStatus) -> tuple[str, str]:
    """Publish a job's result event; return the subscription's queue and job once it is stored."""
    runtime = app.purista_runtime
    queue = runtime.wiring.queue("wash")
    job = JobMessage(
        id=f"job-{status}",
        queue_name="wash",
        created_at=0,
        max_attempts=3,
        correlation_id=marker,
    )
    suffix = ":1.1" if status == "progress" else ""
    told = result_events(runtime.wiring, queue, job, [status], attempt=1, id_suffix=suffix)
    publish_results(told, runtime.publisher, runtime.ledger)
    subscriber = f"sub.shop.1.{SUBSCRIBERS[status]}"

    def stored() -> str | None:
        key = runtime.ledger.keys(subscriber).job("*")
        found = runtime.ledger.client.keys(key.replace("{", "\\{"))
        return str(found[0]).removeprefix(key[:-1]) if found else None

    return subscriber, until(stored, f"{subscriber} has a job")


@pytest.mark.parametrize("status", ["cancelled", "failed", "dead-lettered", "progress"])
def test_news_of_an_occurrence_are_none_of_its_work(heard: Any, status: ResultStatus) -> None:
    """Who hears of a replaced job runs, with all that follows; the next one does not wait for it.

    It is found by the occurrence's correlation id, which what it hears of carries unchanged.
    """
    ledger = heard.purista_runtime.ledger
    marker = underway.correlation_of("shop/1/wash", "o-1")
    underway.note(ledger, marker, [Receipt("job-gone", "wash")])
    underway.replace(ledger, marker)
    queue, job_id = tell(heard, marker, status)
    message = JobMessage.from_wire(ledger.message(queue, job_id))
    assert ledger.client.hget(ledger.keys(queue).job(job_id), "state") == "ready"
    assert message.correlation_id.startswith(marker)
    assert message.payload["correlationId"] == message.payload["payload"]["correlationId"] == marker
    follows = ledger.enqueue(message.model_copy(update={"id": "follows", "queue_name": "wash"}))
    underway.note(ledger, message.correlation_id, [follows])
    assert ledger.client.hget(ledger.keys("wash").job("follows"), "state") == "ready"
    assert not underway.is_under_way(ledger, marker)


def test_what_follows_from_success_is_work_of_the_occurrence(heard: Any) -> None:
    """One step hands on to the next by its success: waited for, and cancelled where replaced."""
    ledger = heard.purista_runtime.ledger
    marker = underway.correlation_of("shop/1/wash", "o-1")
    underway.note(ledger, marker, [Receipt("job-gone", "wash")])
    assert not underway.is_under_way(ledger, marker)
    queue, job_id = tell(heard, marker, "success")
    until(lambda: underway.is_under_way(ledger, marker), "it is under way")
    assert underway.replace(ledger, marker) == 1
    assert ledger.client.hget(ledger.keys(queue).job(job_id), "state") == "cancelled"
