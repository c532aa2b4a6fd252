"""Clocks of producers and workers differ by a minute and more; only the ledger's counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import time_machine

from tests.acceptance.faults.conftest import Faulty
from tests.support.waiting import until


def test_clocks_that_differ_change_nothing(redis_faults: Faulty) -> None:
    """One worker is a minute early and one a minute late: delays, leases, retries and the
    liveness of the other are right, each job runs once, and both workers take their share. On
    Redis, whose deliveries have leases; those of RabbitMQ know no time.
    """
    faults = redis_faults
    early, late = (faults.worker(wait=False, CLOCK_SKEW=skew) for skew in ("60", "-60"))
    early.ready()
    late.ready()
    # Longer than its lease of 5 s and the liveness of 3 s.
    long = [faults.enqueue("deaf", seconds=6).job_id for _ in range(2)]
    for job_id in long:
        faults.await_trace("start", job_id)

    delayed = []
    for skew in (timedelta(minutes=1), -timedelta(minutes=1)):
        with time_machine.travel(datetime.now(UTC) + skew, tick=True):
            delayed.append(faults.enqueue(delay=timedelta(seconds=3)))
    retried = faults.enqueue("transient").job_id

    for job_id in long:
        status = faults.client.wait(job_id, 40)
        assert (status.status, status.attempt) == ("completed", 1)
        assert len(faults.traced("start", job_id)) == 1
    pids = {line[1] for job_id in long for line in faults.traced("start", job_id)}
    assert len(pids) == 2, "each worker had one"
    status = faults.client.wait(retried, 30)
    assert (status.status, status.attempt) == ("completed", 2)
    for receipt in delayed:
        status = faults.client.wait(receipt.job_id, 30)
        assert status.attempt == 1
        assert status.completed_at is not None
        waited = status.completed_at - status.created_at
        # Late is only what both workers had to end first.
        assert timedelta(seconds=3) <= waited < timedelta(seconds=15), waited
    until(lambda: early.process.poll() is None and late.process.poll() is None, "both live")
