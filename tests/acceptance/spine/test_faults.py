"""Workers that are killed, frozen and shut down: jobs move on, once, and in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import psutil
import pytest

from tests.acceptance.spine.conftest import APP, Spine
from tests.acceptance.spine.services import Work, long, patient, work
from tests.support.processes import ROOT
from tests.support.waiting import until


def _starts(spine: Spine, job_id: str) -> list[float]:
    return [float(line[0]) for line in spine.traced("start", job_id)]


def test_a_killed_workers_job_moves_on_within_its_lease(spine: Spine) -> None:
    """``kill -9`` in mid-job, 5 s lease: within 7 s elsewhere. A lost connection proves nothing."""
    first = spine.worker("-c", "1")
    job_id = spine.enqueue("deaf", seconds=8).job_id
    spine.await_trace("start", job_id)
    spine.worker("-c", "1")

    killed = time.time()
    first.kill()

    spine.await_trace("start", job_id, count=2)
    assert _starts(spine, job_id)[1] - killed < 7
    status = spine.client.wait(job_id, 30)
    assert (status.status, status.attempt) == ("completed", 2)
    spine.await_trace("completed", f"{job_id}:success")


def test_a_killed_main_process_takes_its_children_along(spine: Spine) -> None:
    """Only the main process is killed; its pool does not run on beside the successor."""
    workers = [spine.worker("-c", "1") for _ in range(2)]
    job_id = spine.enqueue("deaf", seconds=4).job_id
    [line] = spine.await_trace("start", job_id)
    first = next(worker for worker in workers if int(line[1]) in worker.children())

    os.kill(first.pid, signal.SIGKILL)

    spine.await_trace("end", job_id)
    status = spine.client.wait(job_id, 30)
    assert (status.status, status.attempt) == ("completed", 2)
    assert len(spine.traced("end", job_id)) == 1


def test_a_worker_of_the_solo_pool_outlives_who_started_it(redis_spine: Spine) -> None:
    """Its only process is the main one; that of the shell which started it is none of its own."""
    spine = redis_spine
    log = spine.stage.directory / "solo.log"
    shell = '"$@" >"$LOG" 2>&1 & echo $!; until grep -q " ready." "$LOG"; do sleep 0.1; done'
    celery = (sys.executable, "-m", "celery", "-A", APP, "worker", "-P", "solo", "-l", "INFO")
    started = subprocess.run(
        ["sh", "-c", shell, "sh", *celery],
        env={**spine.stage.environment, "LOG": str(log)},
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    worker = psutil.Process(int(started.stdout))
    try:
        assert spine.client.wait(spine.enqueue().job_id, 20).status == "completed"
    finally:
        worker.kill()


def test_with_the_default_lease_a_killed_workers_jobs_move_on_within_20_s(spine: Spine) -> None:
    """A lease of fifteen minutes dies with its worker; so does what the worker had prefetched."""
    first = spine.worker("-c", "1")
    ids = [
        spine.client.enqueue(patient, Work(n=n, seconds=60 if n == 0 else 0)).job_id
        for n in range(3)
    ]
    spine.await_trace("start", ids[0])
    killed = time.time()
    first.kill()
    spine.worker("-c", "2")

    spine.await_trace("start", ids[0], count=2)
    assert _starts(spine, ids[0])[1] - killed < 20
    for job_id in ids[1:]:
        assert spine.client.wait(job_id, 20).status == "completed"


def test_a_frozen_worker_can_not_settle_what_its_successor_holds(spine: Spine) -> None:
    """SIGSTOP past the lease, SIGCONT: its settle is refused, its ack touches nothing."""
    first = spine.worker("-c", "1")
    job_id = spine.enqueue("deaf", n=1, seconds=2).job_id
    spine.await_trace("start", job_id)
    first.signal_all(signal.SIGSTOP)
    spine.worker("-c", "1")
    spine.await_trace("start", job_id, count=2)
    until(lambda: len(spine.traced("start", job_id)) == 2, "the successor has it")

    first.signal_all(signal.SIGCONT)

    # The frozen handler ends first; its settle is not accepted.
    status = spine.client.wait(job_id, 30)
    assert (status.status, status.attempt, status.output["attempt"]) == ("completed", 2, 2)
    until(lambda: "no longer held by this worker" in first.text, "the frozen worker is told")
    spine.await_trace("completed", f"{job_id}:success")
    assert len(spine.traced("completed", f"{job_id}:success")) == 1
    # Both go on.
    ids = [spine.enqueue(seconds=0.2).job_id for _ in range(4)]
    assert {spine.client.wait(i, 20).status for i in ids} == {"completed"}


def test_a_renewed_lease_outlives_its_length(spine: Spine) -> None:
    """A job that takes longer than its 5 s lease runs once: the main process renews it."""
    spine.worker("-c", "1")
    spine.worker("-c", "1")
    job_id = spine.enqueue("deaf", seconds=8).job_id

    status = spine.client.wait(job_id, 40)

    assert (status.status, status.attempt) == ("completed", 1)
    assert len(_starts(spine, job_id)) == 1


def test_a_handler_that_outlives_max_runtime_is_ended(spine: Spine) -> None:
    """Its attempts fail with ``max_runtime_exceeded``; the worker goes on."""
    spine.worker("-c", "1")
    job_id = spine.client.enqueue(long, Work(mode="deaf", seconds=60), max_attempts=1).job_id

    status = spine.client.wait(job_id, 40)

    assert (status.status, status.reason) == ("deadLetter", "max_attempts_exceeded")
    assert "max_runtime_exceeded" in (status.error or "")
    assert spine.client.wait(spine.enqueue().job_id, 20).status == "completed"


def test_warm_shutdown_lets_a_short_job_finish(spine: Spine) -> None:
    """SIGTERM: the running job ends within its grace, and the next worker has nothing to repeat."""
    first = spine.worker("-c", "1")
    job_id = spine.enqueue("deaf", seconds=2).job_id
    waiting = [spine.enqueue(n=n).job_id for n in range(3)]
    spine.await_trace("start", job_id)

    assert first.terminate() == 0

    status = spine.client.job(job_id)
    assert (status.status, status.attempt) == ("completed", 1)
    spine.worker("-c", "1")
    assert {spine.client.wait(i, 20).status for i in waiting} == {"completed"}
    assert len(_starts(spine, job_id)) == 1


@pytest.mark.parametrize("size", [0, 300_000])
def test_warm_shutdown_waits_for_a_job_that_was_just_sent_to_its_process(
    spine: Spine, size: int
) -> None:
    """Sent, not begun when SIGTERM comes: it is this worker's, ends there, and then so does it.

    One that is larger than what a pipe holds has been sent in part.
    """
    worker = spine.worker("-c", "1")
    [child] = worker.children()
    os.kill(child, signal.SIGSTOP)
    deaf = Work(mode="deaf", seconds=1, filler="x" * size)
    job_id = spine.client.enqueue(work, deaf).job_id
    until(lambda: f"[{job_id}] received" in worker.text, "the job is received")
    for _ in range(2):  # Answered by the loop that sends jobs, a turn later each.
        until(lambda: spine.app.control.ping(timeout=0.5), "the worker answers")

    os.kill(worker.pid, signal.SIGTERM)
    until(lambda: "Waiting for processes to accept" in worker.text, "it waits for the process")
    os.kill(child, signal.SIGCONT)

    assert worker.ended(15) == 0
    status = spine.client.job(job_id)
    assert (status.status, status.attempt) == ("completed", 1)
    assert len(_starts(spine, job_id)) == 1


def test_warm_shutdown_gives_the_lease_of_a_long_job_back_at_once(spine: Spine) -> None:
    """Past its grace of 1 s a job goes to another worker, without waiting for its lease of 4 s."""
    workers = [spine.worker("-c", "1"), spine.worker("-c", "1")]
    job_id = spine.client.enqueue(long, Work(mode="deaf", seconds=5)).job_id
    _, child, *_ = spine.await_trace("start", job_id)[0]
    holder = next(worker for worker in workers if int(child) in worker.children())

    stopped = time.time()
    assert holder.terminate() == 0

    spine.await_trace("start", job_id, count=2)
    assert _starts(spine, job_id)[1] - stopped < 3
    status = spine.client.wait(job_id, 30)
    # The attempt that was interrupted does not count.
    assert (status.status, status.attempt) == ("completed", 1)


def test_a_broker_and_ledger_restart_loses_nothing(redis_spine: Spine, redis_server) -> None:  # type: ignore[no-untyped-def]
    """Redis, broker and ledger at once, is restarted under a busy worker, which goes on."""
    spine = redis_spine
    worker = spine.worker("-c", "2")
    ids = [spine.enqueue(seconds=0.3, n=n).job_id for n in range(20)]
    spine.await_trace("end", count=3)

    redis_server.stop()
    redis_server.start()

    assert {spine.client.wait(i, 60).status for i in ids} == {"completed"}
    assert worker.process.poll() is None
    assert {spine.client.wait(spine.enqueue().job_id, 30).status} == {"completed"}


def test_jobs_survive_the_loss_of_all_broker_keys(redis_spine: Spine) -> None:
    """Messages are deleted behind everybody's back; the ledger offers every job again."""
    spine = redis_spine
    ids = [spine.enqueue(n=n).job_id for n in range(30)]
    with spine.app.connection_for_write() as connection, connection.channel() as channel:
        assert channel.queue_purge(f"{spine.stage.namespace}.job.spine.work") == 30
    spine.worker()

    assert {spine.client.wait(i, 40).status for i in ids} == {"completed"}


def test_a_lost_record_is_made_again_from_the_message(spine: Spine) -> None:
    """The ledger forgets a job before it runs; its message alone suffices."""
    job_id = spine.enqueue(n=5, tenant_id="acme").job_id
    ledger = spine.app.purista_runtime.ledger
    keys = ledger.keys(work.name)
    ledger.client.delete(keys.job(job_id))
    ledger.client.zrem(keys.ready, job_id)
    spine.worker()

    spine.await_trace("completed", f"{job_id}:success", "acme")
    assert spine.client.job(job_id).status == "completed"


def test_an_enqueue_without_a_broker_is_accepted_and_runs_later(redis_spine: Spine) -> None:
    """The ledger has it; the stager offers it once there is a broker."""
    spine = redis_spine
    from purista_celery import Settings, compile_app
    from tests.acceptance.spine.services import listener, service

    stranded = compile_app(
        [service, listener],
        Settings(
            broker_url="amqp://guest:guest@127.0.0.1:9//",
            ledger_url=spine.stage.ledger_url,
            namespace=spine.stage.namespace,
        ),
    )
    receipt = stranded.purista.enqueue(work, Work(n=1))
    stranded.close()
    spine.worker()

    status = spine.client.wait(receipt.job_id, timedelta(seconds=40))
    assert status.status == "completed"
