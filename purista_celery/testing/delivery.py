"""Result events: required ones arrive whatever ends a worker, best-effort ones cost nothing."""

from __future__ import annotations

from purista_celery.messages.envelope import AnyEvent
from purista_celery.runtime.results import ResultEventsOf
from purista_celery.runtime.settle import Held
from purista_celery.testing.bench import Bench, expect
from purista_celery.testing.contracts import BEST_EFFORT, REQUIRED, Work


def a_required_event_outlives_its_worker(bench: Bench) -> None:
    """An event that was settled, and not published, is in the outbox until the broker has it."""
    results = _settled(bench, REQUIRED)
    [event] = results.events
    waiting = bench.client.metrics(bench.queue(REQUIRED)).outbox
    expect(waiting == 1, "one event in the outbox", waiting)
    bench.until(lambda: bench.notes.heard_by(REQUIRED, event.id), "it is published all the same")
    bench.until(
        lambda: bench.client.metrics(bench.queue(REQUIRED)).outbox == 0, "the outbox is cleared"
    )


def a_result_has_the_same_id_each_time(bench: Bench) -> None:
    """The id of a result event is ``<jobId>:<status>``, so that a repeat can be told."""
    receipt = bench.enqueue(REQUIRED, Work(n=3))
    bench.ended(receipt)
    identity = f"{receipt.job_id}:success"
    [event] = bench.until(lambda: bench.notes.heard_by(REQUIRED, identity), f"{identity} is heard")
    came = (event.payload.job_id, event.payload.status, event.payload.payload)
    expect(came == (receipt.job_id, "success", Work(n=3)), "the job's result", came)


def a_repeated_event_is_handled_once(bench: Bench) -> None:
    """An event that is published again, as after a crash, is the same job."""
    results = _settled(bench, REQUIRED)
    [outgoing] = results.events
    for _ in range(3):
        bench.runtime.publisher.publish(AnyEvent.from_wire(outgoing.envelope))
    bench.runtime.executor.publish(results)
    later = bench.enqueue(REQUIRED)
    bench.ended(later)
    # Its result is behind the repeats in the same queue.
    bench.until(lambda: bench.notes.heard_by(REQUIRED, f"{later.job_id}:success"), "it is heard")
    came = len(bench.notes.heard_by(REQUIRED, outgoing.id))
    expect(came == 1, "that it is handled once", came)


def a_best_effort_event_is_published_once(bench: Bench) -> None:
    """It is not stored: nothing is left of one whose worker died, and others are heard."""
    _settled(bench, BEST_EFFORT)
    waiting = bench.client.metrics(bench.queue(BEST_EFFORT)).outbox
    expect(waiting == 0, "nothing in the outbox", waiting)
    receipt = bench.enqueue(BEST_EFFORT)
    bench.ended(receipt)
    bench.until(
        lambda: bench.notes.heard_by(BEST_EFFORT, f"{receipt.job_id}:success"),
        "its result is heard",
    )


def _settled(bench: Bench, queue: str) -> ResultEventsOf:
    """Complete a job as a worker does that dies before it publishes."""
    message, claim = bench.held(queue, "dying/1")
    wired = bench.runtime.wiring.queue(message.queue_name)
    results = bench.runtime.settler.complete(Held.by(wired, message, claim), {"n": 1})
    expect(results, "that the holder settles its job", results)
    assert results is not None  # noqa: S101 - said above, for type checkers
    return results
