"""Order, pace, limits, priorities and pauses, over several workers."""

from __future__ import annotations

import itertools
import time

import pytest

from purista_celery import Enqueue
from purista_celery.errors import InvalidMessage, PayloadTooLarge
from tests.acceptance.flow.services import Step, alone, by_tenant, in_order, paced, urgent
from tests.acceptance.spine.conftest import Spine
from tests.support.waiting import until


def spans(flow: Spine, *words: str) -> list[tuple[float, float]]:
    """Return when each traced run of a job began and ended, sorted; a failed one never ends."""
    ends = {(line[4], line[5]): float(line[0]) for line in flow.traced("end", *words)}
    return sorted(
        (float(line[0]), ends.get((line[4], line[5]), float(line[0])))
        for line in flow.traced("start", *words)
    )


def test_jobs_of_a_partition_run_in_order_and_partitions_side_by_side(flow: Spine) -> None:
    """Also when one of them is tried again, over two workers; the tenant is the partition."""
    jobs: list[Enqueue[Step, None]] = [
        Enqueue(Step(n=n, mode="once" if n == 3 else "ok", seconds=0.02), tenant_id=tenant)
        for n in range(12)
        for tenant in ("acme", "globex", "initech")
    ]
    flow.worker("-c", "2")
    flow.worker("-c", "2")
    receipts = flow.client.enqueue_many(by_tenant, jobs)

    for receipt in receipts:
        assert flow.client.wait(receipt.job_id, 60).status == "completed"
    for tenant in ("acme", "globex", "initech"):
        order = [int(line[6]) for line in flow.traced("end", tenant)]
        assert order == list(range(12))
        runs = spans(flow, tenant)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(runs)), "one at a time"
    both = spans(flow)
    assert any(a[1] > b[0] for a, b in itertools.pairwise(both)), "partitions side by side"


def test_a_fifo_queue_runs_in_the_order_of_enqueueing(flow: Spine) -> None:
    """One job at a time, over two workers; a dead letter does not hold up those behind it."""
    flow.worker("-c", "2")
    flow.worker("-c", "2")
    ids = [
        flow.client.enqueue(in_order, Step(n=n, mode="fail" if n == 4 else "ok")).job_id
        for n in range(15)
    ]
    ended = [flow.client.wait(job_id, 60).status for job_id in ids]
    assert ended == ["deadLetter" if n == 4 else "completed" for n in range(15)]
    assert [int(line[6]) for line in flow.traced("end")] == [n for n in range(15) if n != 4]


def test_a_partition_key_is_asked_for_where_it_is_needed_and_nowhere_else(flow: Spine) -> None:
    """Without one a job has no place; a key that nobody looks at would promise one."""
    with pytest.raises(InvalidMessage, match="keeps its jobs in order by partition"):
        flow.client.enqueue(by_tenant, Step())
    with pytest.raises(InvalidMessage, match="keeps no order by partition"):
        flow.client.enqueue(in_order, Step(), partition_key="acme")
    receipt = flow.client.enqueue(by_tenant, Step(), partition_key="p", tenant_id="acme")
    line = flow.app.purista_runtime.ledger.keys(by_tenant.name).line("p")
    assert flow.app.purista_runtime.ledger.client.zrange(line, 0, -1) == [receipt.job_id]


def test_an_oversized_payload_is_refused_at_enqueue(flow: Spine) -> None:
    """Nothing is stored; the error says how much is allowed and shows none of it."""
    with pytest.raises(PayloadTooLarge, match="1048576 are allowed") as refused:
        flow.client.enqueue(alone, Step(mode="x" * 2_000_000))
    assert "xxx" not in str(refused.value)
    assert flow.client.metrics(alone).pending == 0


def test_a_sequential_worker_runs_one_job_at_a_time(flow: Spine) -> None:
    """Over all workers."""
    flow.worker("-c", "2")
    flow.worker("-c", "2")
    ids = [flow.client.enqueue(alone, Step(n=n, seconds=0.05)).job_id for n in range(12)]
    for job_id in ids:
        assert flow.client.wait(job_id, 60).status == "completed"
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans(flow)))


def test_a_worker_of_mode_interval_keeps_its_pace(flow: Spine) -> None:
    """Two a second over two workers, as its contract says, and none is left behind."""
    flow.worker("-c", "2")
    flow.worker("-c", "2")
    ids = [flow.client.enqueue(paced, Step(n=n)).job_id for n in range(8)]
    for job_id in ids:
        assert flow.client.wait(job_id, 60).status == "completed"
    starts = [begin for begin, _ in spans(flow)]
    # The third of any three begins at the earliest when the first one's interval is over; handlers
    # begin a little after the claim that counts.
    assert all(c - a > 0.8 for a, c in zip(starts, starts[2:], strict=False))


def test_a_pause_reaches_all_workers_at_once_and_survives_restarts(flow: Spine) -> None:
    """No job starts after it, on a new worker neither; resumed, all run within 2 s."""
    first = flow.worker("-c", "2")
    flow.worker("-c", "1")
    assert flow.client.wait(flow.client.enqueue(alone, Step()).job_id, 20).status == "completed"
    flow.client.pause(alone, "maintenance")
    ids = [flow.client.enqueue(alone, Step(n=n)).job_id for n in range(5)]
    first.terminate()
    flow.worker("-c", "2")
    until(
        lambda: sum(worker.text.count("is not run: paused") for worker in flow.stage.workers) >= 5,
        lambda: f"all are refused; {flow.logs()}",
    )
    assert len(flow.traced("start")) == 1
    assert flow.client.metrics(alone).paused == "maintenance"

    flow.client.resume(alone)
    resumed = time.time()
    for job_id in ids:
        assert flow.client.wait(job_id, 20).status == "completed"
    assert spans(flow)[1][0] - resumed < 2


def test_the_highest_priority_runs_first(flow: Spine) -> None:
    """9 before the queue's own 3 before 0, on Redis; RabbitMQ 3.10's quorum queues have none."""
    if flow.stage.broker_url.startswith("amqp"):
        assert flow.client.enqueue(urgent, Step(), priority=9).job_id
        return
    for n, priority in enumerate((0, 3, 9, None, 0, 9)):
        flow.client.enqueue(urgent, Step(n=n), priority=priority)
    flow.worker("-c", "1", "--prefetch-multiplier", "1")
    flow.await_trace("end", count=6)
    assert [int(line[6]) for line in flow.traced("end")] == [2, 5, 1, 3, 0, 4]
