"""Signals to workers and to their processes: what costs an attempt, and what ends a worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.spine import signalled
from tests.acceptance.spine.conftest import Spine, compiled, forget
from tests.acceptance.spine.services import Work
from tests.support.processes import Stage, Worker
from tests.support.waiting import until

APP = "tests.acceptance.spine.signalled"


@pytest.fixture
def crew(redis_stage: Stage) -> Iterator[Spine]:
    made = compiled(redis_stage, [signalled.service], APP)
    yield made
    redis_stage.close()
    forget(made)


def enqueue(crew: Spine, queue: Any, mode: str = "", seconds: float = 5) -> str:
    return crew.client.enqueue(queue, Work(mode=mode, seconds=seconds)).job_id


STRAY = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


def test_a_stray_signal_costs_an_attempt(crew: Spine) -> None:
    """A job that has its process signalled each time runs out of attempts, as with SIGKILL."""
    worker = crew.worker("-c", "4")
    queues = [signalled.plain, signalled.tasks]
    jobs = [enqueue(crew, queue, mode) for queue in queues for mode in STRAY]
    ignored = enqueue(crew, signalled.plain, "SIGINT", 0)

    for job_id in jobs:
        status = crew.client.wait(job_id, 60)
        assert (status.status, status.reason) == ("deadLetter", "max_attempts_exceeded")
        assert [line[-1] for line in crew.traced("start", job_id)] == ["1", "2"]
        assert not crew.traced("end", job_id)
    # A terminal sends it to the whole group: the main process alone acts on it.
    assert crew.client.wait(ignored, 30).attempt == 1
    assert worker.terminate() == 0


def stop(worker: Worker, how: str) -> None:
    """Stop a worker in one of the ways that are used."""
    if how == "group":
        # As ``systemctl stop`` with its default KillMode does; the children are first.
        for child in worker.children():
            os.kill(child, signal.SIGTERM)
        os.kill(worker.pid, signal.SIGTERM)
    else:
        os.kill(worker.pid, signal.SIGQUIT)


@pytest.mark.parametrize(
    ("pool", "how", "queue"),
    [
        ("prefork", "group", signalled.plain),
        ("prefork", "cold", signalled.tasks),
        ("threads", "cold", signalled.plain),
        ("solo", "cold", signalled.tasks),
    ],
)
def test_a_stopped_worker_gives_its_jobs_back_uncounted(
    crew: Spine, pool: str, how: str, queue: Any
) -> None:
    """Its processes are told to end, or its threads end with it; another worker goes on."""
    first = crew.worker("-c", "1", "-P", pool)
    job_id = enqueue(crew, queue, seconds=60)
    crew.await_trace("start", job_id)
    crew.worker("-c", "1")

    stop(first, how)

    first.ended(20)
    status = crew.client.wait(job_id, 20)
    assert (status.status, status.attempt) == ("completed", 1)
    assert len(crew.traced("end", job_id)) == 1


def test_threads_that_outlive_their_grace_end_with_their_process(crew: Spine) -> None:
    """The job goes to another worker, and is not run beside itself."""
    first = crew.worker("-c", "2", "-P", "threads")
    job_id = enqueue(crew, signalled.brief, seconds=60)
    crew.await_trace("start", job_id)
    crew.worker("-c", "1")

    os.kill(first.pid, signal.SIGTERM)
    assert first.ended(20) == 0

    status = crew.client.wait(job_id, 30)
    assert (status.status, status.attempt) == ("completed", 1)
    assert len(crew.traced("end", job_id)) == 1


def test_threads_that_are_done_in_time_end_as_they_would(crew: Spine) -> None:
    """A cold shutdown waits for a moment: what is nearly done is not run twice."""
    first = crew.worker("-c", "1", "-P", "threads")
    job_id = enqueue(crew, signalled.plain, seconds=2)
    crew.await_trace("start", job_id)

    os.kill(first.pid, signal.SIGQUIT)

    first.ended(20)
    assert crew.client.job(job_id).status == "completed"


def test_an_unsupported_pool_is_refused_in_one_line(crew: Spine) -> None:
    """As gevent and eventlet are: a handler would hold up heartbeats."""
    crew.stage.extra["CELERY_CUSTOM_WORKER_POOL"] = "celery.concurrency.base:BasePool"
    worker = crew.worker("-P", "custom", wait=False)
    assert worker.ended(60) == 1
    [line] = [line for line in worker.text.splitlines() if "PURISTA_POOL_UNSUPPORTED" in line]
    assert "prefork, threads, solo" in line
    assert "Traceback" not in worker.text


def test_shrinking_a_pool_costs_no_attempt(crew: Spine) -> None:
    """Only idle processes are ended for it."""
    worker = crew.worker("-c", "2")
    job_id = enqueue(crew, signalled.plain, seconds=3)
    crew.await_trace("start", job_id)
    before = set(worker.children())

    crew.app.control.pool_shrink(1)
    until(lambda: len(set(worker.children()) & before) == 1, "the idle process is gone")

    status = crew.client.wait(job_id, 30)
    assert (status.status, status.attempt, len(crew.traced("start", job_id))) == ("completed", 1, 1)
