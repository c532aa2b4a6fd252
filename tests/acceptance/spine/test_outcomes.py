"""How jobs end: each way, on both brokers, with real workers."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.spine.conftest import Spine
from tests.acceptance.spine.services import (
    Work,
    echo,
    happened,
    long,
    narrow,
    patient,
    patient_odd,
    sync_odd,
    work,
)


def test_a_job_completes_and_its_result_event_reaches_the_subscriber(spine: Spine) -> None:
    """Trace and tenant travel from the enqueue to the subscriber of the result event."""
    spine.worker()
    receipt = spine.enqueue(n=7, tenant_id="acme", trace_id="0af7651916cd43dd8448eb211c80319c")

    status = spine.client.wait(receipt.job_id, 30)

    assert (status.status, status.attempt) == ("completed", 1)
    assert status.output == {"n": 7, "attempt": 1}
    [line] = spine.await_trace("completed")
    assert line[2:] == [
        "completed",
        f"{receipt.job_id}:success",
        "7",
        "0af7651916cd43dd8448eb211c80319c",
        "acme",
    ]
    spine.await_trace("any", "spine.work.completed")


def test_failures_are_retried_and_end_as_dead_letters_with_a_reason(spine: Spine) -> None:
    """Transient, permanent, fatal, dying and exhausting handlers each end as they should."""
    spine.worker()
    modes = ["transient", "fail", "fatal", "dead", "memory", "exit", "suicide"]
    ids = {mode: spine.enqueue(mode).job_id for mode in modes}

    ended = {mode: spine.client.wait(job_id, 60) for mode, job_id in ids.items()}

    assert {mode: (s.status, s.attempt, s.reason) for mode, s in ended.items()} == {
        "transient": ("completed", 2, None),
        "fail": ("deadLetter", 3, "max_attempts_exceeded"),
        "fatal": ("deadLetter", 1, "hopeless"),
        "dead": ("deadLetter", 1, "as asked"),
        "memory": ("deadLetter", 3, "max_attempts_exceeded"),
        "exit": ("deadLetter", 3, "max_attempts_exceeded"),
        "suicide": ("deadLetter", 3, "max_attempts_exceeded"),
    }
    assert ended["fail"].error == "ValueError: as asked"
    # Each of the six dead letters is heard of exactly once.
    spine.await_trace("failed", count=6)
    assert sorted(line[3] for line in spine.traced("failed")) == sorted(
        f"{ids[mode]}:failed" for mode in modes if mode != "transient"
    )
    # The worker has survived all of them.
    assert spine.client.wait(spine.enqueue().job_id, 20).status == "completed"


def test_a_dead_letter_is_redriven_to_its_own_queue_or_purged(spine: Spine) -> None:
    """A redriven dead letter starts again from its first attempt; a purged one is gone."""
    spine.worker("-c", "1")
    first, second = (spine.enqueue("dead", n).job_id for n in (1, 2))
    for job_id in (first, second):
        spine.client.wait(job_id, 30)
    letters = spine.client.dead_letters(work)
    assert [letter.job_id for letter in letters.list()] == [first, second]

    assert letters.redrive(first) == [first]
    spine.await_trace("start", first, "1", count=2)
    # Its second death is heard of as well.
    spine.await_trace("failed", f"{first}:failed")
    spine.await_trace("failed", f"{first}:failed:1")
    spine.client.wait(first, 30)
    assert letters.purge(second) == 1
    assert [letter.job_id for letter in letters.list()] == [first]


def test_an_event_becomes_jobs_of_the_bound_queue_once(spine: Spine) -> None:
    """A repeated event, with the same id, adds no jobs."""
    spine.worker()
    for _ in range(3):
        spine.client.emit(happened, Work(n=4), event_id="occurrence-1", tenant_id="acme")

    spine.await_trace("completed", count=2)
    spine.client.emit(happened, Work(n=5), event_id="occurrence-2")
    spine.await_trace("completed", count=4)

    ran = sorted(int(line[5]) for line in spine.traced("start"))
    assert ran == [41, 42, 51, 52]


def test_a_delayed_job_waits_in_the_ledger(spine: Spine) -> None:
    """It starts when it is due, not before, and needs no worker meanwhile."""
    before = datetime.now(UTC)
    receipt = spine.enqueue(delay=timedelta(seconds=2))
    assert receipt.scheduled_at is not None
    assert receipt.scheduled_at >= before + timedelta(seconds=2)
    assert spine.client.metrics(work).scheduled == 1
    spine.worker()

    spine.client.wait(receipt.job_id, 30)

    [line] = spine.traced("start", receipt.job_id)
    assert float(line[0]) >= before.timestamp() + 2


def test_async_handlers_resources_and_declared_edges_work(spine: Spine) -> None:
    """One worker process opens a resource once; undeclared use is a failure that says so."""
    spine.worker("-c", "1")
    ids = [spine.enqueue("resource").job_id for _ in range(3)]
    ids.append(spine.enqueue("enqueue", 9).job_id)
    for job_id in ids:
        assert spine.client.wait(job_id, 30).status == "completed"
    assert len(spine.traced("resource", "open")) == 1
    spine.await_trace("end", "9", count=2)
    assert spine.client.metrics(patient).completed == 1

    refused = spine.client.wait(spine.enqueue("undeclared").job_id, 30)
    assert "PURISTA_NOT_DECLARED" in (refused.error or "")
    # Warm shutdown closes it.
    assert spine.stage.workers[0].terminate() == 0
    assert len(spine.traced("resource", "close")) == 1


def test_cancel_ends_waiting_listening_and_deaf_jobs(spine: Spine) -> None:
    """Cancel is an outcome of its own, and is heard of."""
    spine.worker("-c", "3")
    waiting = spine.enqueue(delay=timedelta(minutes=5)).job_id
    listening = spine.enqueue("progress", seconds=60).job_id
    deaf = spine.enqueue("deaf", seconds=60).job_id
    for job_id in (listening, deaf):
        spine.await_trace("start", job_id)

    assert spine.client.cancel(waiting).status == "cancelled"
    for job_id in (listening, deaf):
        assert spine.client.cancel(job_id).status in ("inFlight", "cancelled")
    for job_id in (listening, deaf):
        assert spine.client.wait(job_id, 20).status == "cancelled"
    spine.await_trace("cancelled", count=3)
    assert spine.client.wait(spine.enqueue().job_id, 20).status == "completed"


def test_a_job_that_fails_after_it_was_cancelled_gets_no_other_attempt(spine: Spine) -> None:
    """Its handler never asked; the end of its attempt is the end of the job."""
    spine.worker("-c", "1")
    job_id = spine.client.enqueue(long, Work(mode="failLate", seconds=1)).job_id
    spine.await_trace("start", job_id)
    spine.client.cancel(job_id)
    status = spine.client.wait(job_id, 20)
    assert (status.status, status.attempt) == ("cancelled", 1)
    assert len(spine.traced("start", job_id)) == 1


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_handlers_that_raise_the_unusual_are_settled_and_stop_nobody(
    redis_spine: Spine, pool: str
) -> None:
    """Exits, cancellations and what can not be printed, in ``def`` and ``async def`` alike."""
    spine = redis_spine
    spine.worker("-c", "1", "-P", pool)
    modes = ["exit", "cancelled", "base", "unprintable", "surrogate"]
    ids = [
        spine.client.enqueue(queue, Work(mode=mode)).job_id
        for mode in modes
        for queue in (sync_odd, patient_odd)
    ]
    for job_id in ids:
        status = spine.client.wait(job_id, 30)
        assert (status.status, status.reason) == ("deadLetter", "max_attempts_exceeded")
    for queue in (sync_odd, patient_odd):
        job_id = spine.client.enqueue(queue, Work()).job_id
        assert spine.client.wait(job_id, 20).status == "completed"


def test_a_queue_with_a_limit_runs_so_many_and_does_not_stand_still(redis_spine: Spine) -> None:
    """``max_parallel=1``: never two at once, and the next as soon as one has ended."""
    spine = redis_spine
    spine.worker("-c", "3")
    ids = [spine.client.enqueue(narrow, Work(n=n, seconds=0.1)).job_id for n in range(12)]
    for job_id in ids:
        assert spine.client.wait(job_id, 20).status == "completed"
    spans = sorted(
        (float(start[0]), float(end[0]))
        for start in spine.traced("start")
        for end in spine.traced("end", start[3])
    )
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_a_backlog_is_not_published_again(redis_spine: Spine) -> None:
    """Jobs that wait longer than the lost grace are in the broker once."""
    spine = redis_spine
    spine.stage.extra["PURISTA_LOST_GRACE"] = "1"
    spine.worker("-c", "1")
    ids = [spine.enqueue(seconds=0.2, n=n).job_id for n in range(25)]
    for job_id in ids:
        spine.client.wait(job_id, 30)
    text = spine.stage.workers[0].text
    assert "is not run: settled" not in text
    assert "is not run: held" not in text


def test_a_payload_with_a_type_key_is_a_payload(spine: Spine) -> None:
    """Kombu's JSON would make a Python value of it, or refuse it; it arrives as it was sent."""
    spine.worker("-c", "1")
    value = {"__type__": "decimal", "__value__": "1.5", "bad": {"__type__": "uuid"}}
    job_id = spine.client.enqueue(echo, value).job_id
    assert spine.client.wait(job_id, 20).output == value


def test_a_revoked_task_is_a_cancelled_job(spine: Spine) -> None:
    """What an operator ends in Flower, or by ``celery control``, is not offered again."""
    spine.worker("-c", "1")
    running = spine.enqueue("deaf", seconds=60).job_id
    spine.await_trace("start", running)
    waiting = spine.enqueue().job_id

    spine.app.control.revoke([waiting])
    spine.app.control.revoke([running], terminate=True, signal="SIGKILL")

    for job_id in (running, waiting):
        assert spine.client.wait(job_id, 20).status == "cancelled"
        assert spine.client.job(job_id).reason == "revoked"
    spine.await_trace("cancelled", count=2)
    assert spine.client.wait(spine.enqueue().job_id, 20).status == "completed"
    assert len(spine.traced("start", running)) == 1


def test_higher_priorities_run_first(redis_spine: Spine) -> None:
    """9 before 5 before those without one, among jobs that wait."""
    spine = redis_spine
    priorities = [None, 5, None, 9]
    ids = [spine.enqueue(n=n, priority=p).job_id for n, p in enumerate(priorities)]
    spine.worker("-c", "1")
    for job_id in ids:
        spine.client.wait(job_id, 20)
    assert [int(line[5]) for line in spine.traced("start")] == [3, 1, 0, 2]


def test_progress_shows_in_status_and_as_events(spine: Spine) -> None:
    """Each report is an event of its own."""
    spine.worker("-c", "2")
    job_id = spine.enqueue("progress", seconds=0.5).job_id

    assert spine.client.wait(job_id, 20).progress == {"done": 1.0, "total": 2.0}

    lines = spine.await_trace("progressed", count=2)
    assert lines[0][3].startswith(f"{job_id}:progress:1.")


def test_pause_holds_a_queue_and_resume_lets_it_go(spine: Spine) -> None:
    """While a queue is paused no job of it starts; other queues go on."""
    spine.client.pause(work, "maintenance")
    spine.worker()
    held = spine.enqueue().job_id
    other = spine.client.enqueue(patient, Work()).job_id
    assert spine.client.wait(other, 20).status == "completed"
    assert spine.client.job(held).status == "pending"
    assert spine.client.metrics(work).paused == "maintenance"

    spine.client.resume(work)

    assert spine.client.wait(held, 30).status == "completed"


def test_the_threads_pool_runs_jobs_too(spine: Spine) -> None:
    """Handlers of both kinds run in the threads pool, retries and result events included."""
    spine.worker("-P", "threads", "-c", "4")
    ids = [spine.enqueue(mode).job_id for mode in ("ok", "transient", "checkpoint", "resource")]
    ids.append(spine.client.enqueue(patient, Work(seconds=0.2)).job_id)
    for job_id in ids:
        assert spine.client.wait(job_id, 30).status == "completed"
    [line] = spine.traced("resumed")
    assert line[4] == "0"
