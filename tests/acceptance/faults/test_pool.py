"""What happens to a pool process alone: killed from outside, or out of time."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

import pytest

from tests.acceptance.faults.conftest import Faulty
from tests.acceptance.faults.services import stubborn
from tests.acceptance.spine.services import Work
from tests.support.processes import Worker
from tests.support.waiting import until


@dataclass(frozen=True)
class Pool:
    """One worker with four pool processes, and the jobs that each has begun, by their ids."""

    worker: Worker
    processes: frozenset[int]
    killed: str
    soft: str
    hard: str
    neighbour: str


@pytest.fixture(scope="module")
def pool(crew: Faulty) -> Pool:
    """All of it at once: what happens to one process is nothing to the others."""
    worker = crew.worker("-c", "4")
    processes = frozenset(worker.children())
    killed = crew.enqueue("deaf", seconds=2).job_id
    soft = crew.client.enqueue(stubborn, Work(mode="soft", seconds=30)).job_id
    hard = crew.client.enqueue(stubborn, Work(mode="stubborn", seconds=30), max_attempts=1).job_id
    neighbour = crew.enqueue("deaf", seconds=8).job_id
    for job_id in (killed, soft, hard, neighbour):
        crew.await_trace("start", job_id)
    os.kill(process_of(crew, killed), signal.SIGKILL)
    return Pool(worker, processes, killed, soft, hard, neighbour)


def process_of(crew: Faulty, job_id: str) -> int:
    """Return the process that began a job first."""
    return int(crew.traced("start", job_id)[0][1])


def test_a_process_killed_alone_costs_its_own_job_one_attempt(crew: Faulty, pool: Pool) -> None:
    """As the kernel does out of memory: the job is tried again, and heard of once."""
    status = crew.client.wait(pool.killed, 30)

    assert (status.status, status.attempt) == ("completed", 2)
    crew.await_trace("completed", f"{pool.killed}:success")


def test_a_handler_that_gives_in_to_the_soft_limit_fails_in_its_process(
    crew: Faulty, pool: Pool
) -> None:
    """Each attempt ends after ``max_runtime``; no process is ended for it."""
    status = crew.client.wait(pool.soft, 30)

    assert (status.status, status.reason) == ("deadLetter", "max_attempts_exceeded")
    assert "max_runtime_exceeded" in (status.error or "")
    assert len(crew.traced("soft", pool.soft)) == 2
    assert process_of(crew, pool.soft) in pool.worker.children()


def test_a_handler_that_ignores_the_soft_limit_loses_its_process(crew: Faulty, pool: Pool) -> None:
    """The hard limit ends process and attempt alike, and the lease lasts until then."""
    status = crew.client.wait(pool.hard, 30)

    assert (status.status, status.reason) == ("deadLetter", "max_attempts_exceeded")
    assert "max_runtime_exceeded" in (status.error or "")
    assert len(crew.traced("start", pool.hard)) == len(crew.traced("soft", pool.hard)) == 1
    process = process_of(crew, pool.hard)
    until(lambda: process not in pool.worker.children(), "the process is gone")


def test_the_neighbours_of_ended_processes_go_on(crew: Faulty, pool: Pool) -> None:
    """Two of four processes were ended: the others are there, and the pool is whole again."""
    status = crew.client.wait(pool.neighbour, 30)

    assert (status.status, status.attempt) == ("completed", 1)
    assert len(crew.traced("start", pool.neighbour)) == 1
    ended = {process_of(crew, job_id) for job_id in (pool.killed, pool.hard)}

    def whole() -> bool:
        children = set(pool.worker.children())
        return len(children) == 4 and pool.processes - children == ended

    until(whole, "the pool is whole, without those two")
    assert pool.worker.process.poll() is None
