"""Jobs that harm their workers: they end as dead letters, and cost no other job its run."""

from __future__ import annotations

import pytest

from tests.acceptance.flow.services import Step, alone, deadly, endless, toxic
from tests.acceptance.spine.conftest import Spine
from tests.support.waiting import until


@pytest.mark.parametrize("mode", ["die", "memory"])
def test_a_job_that_kills_its_process_runs_out_of_attempts(flow: Spine, mode: str) -> None:
    """Each attempt costs one pool process at most; the jobs beside it run once, and complete."""
    worker = flow.worker("-c", "2")
    poison = flow.client.enqueue(deadly, Step(n=99, mode=mode)).job_id
    beside = [flow.client.enqueue(deadly, Step(n=n, seconds=0.2)).job_id for n in range(12)]

    status = flow.client.wait(poison, 60)

    assert (status.status, status.reason, status.attempt) == (
        "deadLetter",
        "max_attempts_exceeded",
        3,
    )
    assert {"die": "worker_lost", "memory": "MemoryError"}[mode] in (status.error or "")
    assert len(flow.traced("start", poison)) == 3
    for job_id in beside:
        status = flow.client.wait(job_id, 30)
        assert (status.status, status.attempt) == ("completed", 1)
        assert len(flow.traced("start", job_id)) == 1
    assert worker.process.poll() is None


def test_a_job_that_no_limit_stirs_is_ended_hard(flow: Spine) -> None:
    """It swallows the soft limit; the hard one ends its process, and its attempts run out."""
    worker = flow.worker("-c", "2")
    poison = flow.client.enqueue(endless, Step(mode="deaf")).job_id
    beside = [flow.client.enqueue(deadly, Step(n=n, seconds=0.3)).job_id for n in range(12)]

    status = flow.client.wait(poison, 60)

    assert (status.status, status.attempt) == ("deadLetter", 2)
    assert "max_runtime_exceeded" in (status.error or "")
    for job_id in beside:
        status = flow.client.wait(job_id, 30)
        assert (status.status, status.attempt) == ("completed", 1)
    assert worker.process.poll() is None


def test_the_same_failure_in_a_row_pauses_the_queue_everywhere(flow: Spine) -> None:
    """Durably: a new worker keeps the pause; the log, the metrics and the dead letter say why."""
    first = flow.worker("-c", "1")
    job_id = flow.client.enqueue(toxic, Step(mode="fail")).job_id

    status = flow.client.wait(job_id, 30)

    assert (status.status, status.reason, status.attempt) == (
        "deadLetter",
        "poison_message:ValueError",
        3,
    )
    assert flow.client.metrics(toxic).paused == "poison_message:ValueError"
    until(lambda: "flow.toxic is paused everywhere" in first.text, first.text)
    first.terminate()
    flow.worker("-c", "1")
    waiting = flow.client.enqueue(toxic, Step()).job_id
    until(lambda: "is not run: paused" in flow.stage.workers[1].text, flow.logs())
    assert flow.client.wait(flow.client.enqueue(alone, Step()).job_id, 20).status == "completed"
    assert flow.client.job(waiting).status == "pending"

    flow.client.resume(toxic)
    assert flow.client.wait(waiting, 20).status == "completed"
    assert flow.client.dead_letters(toxic).redrive(job_id) == [job_id]
