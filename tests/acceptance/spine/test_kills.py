"""Whole workers are killed at random moments while they drain a backlog."""

from __future__ import annotations

import random

from purista_celery import Enqueue
from tests.acceptance.spine.conftest import Spine
from tests.acceptance.spine.services import Work, work
from tests.support.waiting import until

JOBS = 3000
KILLS = 8


def test_killing_workers_while_they_drain_loses_and_repeats_nothing(redis_spine: Spine) -> None:
    """Each job completes, none starts again after it completed, and each is heard of once."""
    spine = redis_spine
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    receipts = spine.client.enqueue_many(work, [Enqueue(Work(n=n)) for n in range(JOBS)])
    ids = {receipt.job_id for receipt in receipts}
    assert len(ids) == JOBS
    for kill in range(1, KILLS + 1):
        worker = spine.worker("-c", "2", "--without-mingle", "--without-gossip")
        goal = JOBS * kill // (KILLS + 2) + dice.randrange(40)
        until(
            lambda goal=goal: spine.client.metrics(work).completed >= goal,  # type: ignore[misc]
            f"{goal} completed (seed {seed})",
            60,
            every=0.001,
        )
        worker.kill()
    spine.worker("-c", "2")

    until(
        lambda: spine.client.metrics(work).completed >= JOBS,
        lambda: f"all completed (seed {seed}): {spine.client.metrics(work)}",
        90,
    )
    completed_at = {}
    for job_id in ids:
        status = spine.client.job(job_id)
        assert status.status == "completed", (seed, status)
        assert status.completed_at is not None
        completed_at[job_id] = status.completed_at.timestamp()
    late = [
        line
        for line in spine.traced("start")
        # The ledger's clock has whole milliseconds.
        if line[3] in ids and float(line[0]) > completed_at[line[3]] + 0.001
    ]
    assert late == [], f"seed {seed}"
    assert spine.client.metrics(work).completed == JOBS
    # Their result events: at least once each, and again where a kill came before its settle.
    until(
        lambda: {line[3] for line in spine.traced("completed")} == {f"{i}:success" for i in ids},
        lambda: f"each is heard of (seed {seed}), of {JOBS}: {len(spine.traced('completed'))}",
        90,
    )
