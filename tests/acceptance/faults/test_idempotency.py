"""One idempotency key is one job, whoever races and whoever dies."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

from tests.acceptance.faults.conftest import Faulty
from tests.acceptance.faults.points import arm
from tests.acceptance.faults.services import forgetful
from tests.acceptance.spine.services import Work, work
from tests.support.processes import ROOT
from tests.support.waiting import until

PROCESSES, THREADS = 4, 16


def race(faults: Faulty, key: str) -> list[str]:
    """Let several processes enqueue with ``key`` at once, and return whose receipts they got."""
    arguments = (key, str(PROCESSES), str(THREADS))
    done = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.faults.producer", *arguments],
        cwd=ROOT,
        env=faults.stage.environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=90,
    )
    return done.stdout.split()


def test_64_concurrent_enqueues_of_one_key_are_one_job(faults: Faulty) -> None:
    """Each gets the receipt of the one job, which runs once."""
    receipts = race(faults, "one")

    assert len(receipts) == PROCESSES * THREADS
    [job_id] = set(receipts)
    faults.worker("-c", "2")
    assert faults.client.wait(job_id, 30).status == "completed"
    assert faults.client.metrics(work).completed == 1
    assert [line[3] for line in faults.traced("start")] == [job_id]


def test_a_producer_killed_between_ledger_and_broker_leaves_a_job_that_runs(
    faults: Faulty,
) -> None:
    """The fastest dies when the job is stored and its message is not published: the others have
    its receipt, and a stager offers the job.
    """
    reached = arm(faults.stage.directory, "remembered")

    receipts = race(faults, "orphaned")

    assert reached.exists()
    assert len(receipts) == (PROCESSES - 1) * THREADS
    [job_id] = set(receipts)
    faults.worker("-c", "2")
    status = faults.client.wait(job_id, 30)
    assert (status.status, status.attempt) == ("completed", 1)
    assert [line[3] for line in faults.traced("start")] == [job_id]


def test_a_key_expires_after_the_retry_window(redis_faults: Faulty) -> None:
    """It is known while its job is unfinished, and for the window after the job has ended."""
    faults = redis_faults

    def enqueue() -> str:
        return faults.client.enqueue(forgetful, Work(), idempotency_key="k").job_id

    first = enqueue()
    ledger = faults.app.purista_runtime.ledger
    # No worker: the key has no end yet, however long that takes.
    assert ledger.client.pttl(ledger.keys(forgetful.name).idempotency("k")) == -1
    assert enqueue() == first
    faults.worker("-c", "1")
    ended = faults.client.wait(first, 30).completed_at
    assert ended is not None
    assert enqueue() == first

    until(lambda: enqueue() != first, "the key is free again", 20)

    second = faults.client.wait(enqueue(), 30)
    assert second.status == "completed"
    assert second.created_at - ended >= timedelta(seconds=2)
    assert faults.client.metrics(forgetful).completed == 2
