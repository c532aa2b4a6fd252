"""RabbitMQ takes an unacknowledged message away after a while; a long job runs on all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.faults.conftest import Faulty, faulty
from tests.acceptance.faults.services import marathon
from tests.acceptance.spine.services import work
from tests.support.processes import staged
from tests.support.rabbitmq import RabbitServer, require_rabbitmq_server
from tests.support.servers import RedisServer
from tests.support.waiting import until


@pytest.fixture(scope="module")
def node() -> Iterator[RabbitServer]:
    """A node that waits two seconds for an acknowledgement, where a queue says nothing else."""
    require_rabbitmq_server()
    server = RabbitServer(
        settings={"consumer_timeout": "2000"}, rabbit={"channel_tick_interval": "500"}
    )
    server.start()
    yield server
    server.close()


@pytest.fixture
def faults(node: RabbitServer, redis_server: RedisServer, tmp_path: Path) -> Iterator[Faulty]:
    with staged(node.url, redis_server.url, tmp_path) as stage:
        made = faulty(stage)
        yield made
        made.app.close()
        made.app.purista_runtime.ledger.client.close()


def test_a_job_that_outlives_the_consumer_timeout_runs_once(
    node: RabbitServer, faults: Faulty
) -> None:
    """The broker closes the channel and offers the message again: the ledger refuses it, because
    the lease is alive, the job completes in its first attempt, and the worker goes on.
    """
    worker = faults.worker("-c", "2")
    job_id = faults.enqueue("deaf", seconds=9).job_id
    faults.await_trace("start", job_id)
    if node.version < (3, 12):
        until(lambda: "PRECONDITION_FAILED" in worker.text, "the broker loses its patience")
        refused = f"Job {job_id} of {work.name} is not run: held"
        until(
            lambda: refused in worker.text,
            lambda: f"the message comes again; {worker.text[-3000:]}",
        )

    status = faults.client.wait(job_id, 30)

    assert (status.status, status.attempt) == ("completed", 1)
    assert len(faults.traced("start", job_id)) == 1
    faults.await_trace("completed", f"{job_id}:success")
    assert faults.client.wait(faults.enqueue().job_id, 30).status == "completed"
    assert worker.process.poll() is None


def test_a_worker_that_dies_after_the_consumer_timeout_is_succeeded(
    node: RabbitServer, faults: Faulty
) -> None:
    """Its job has no message any more, which was refused and is gone: the ledger offers it."""
    first = faults.worker("-c", "1")
    job_id = faults.enqueue("deaf", seconds=8).job_id
    faults.await_trace("start", job_id)
    if node.version < (3, 12):
        until(lambda: "PRECONDITION_FAILED" in first.text, "the broker loses its patience")
    faults.worker("-c", "1")
    first.kill()

    status = faults.client.wait(job_id, 40)

    assert (status.status, status.attempt) == ("completed", 2)


def test_queues_ask_for_a_consumer_timeout_beyond_any_profile(
    node: RabbitServer, faults: Faulty
) -> None:
    """It is honoured from 3.12 on, and the same for all: a contract may change, a queue can not."""
    faults.worker("-c", "1")

    listed = node.control("list_queues", "name", "arguments").splitlines()

    name = f"{faults.stage.namespace}.job.{marathon.name}\t"
    [found] = [line for line in listed if line.startswith(name)]
    hold = faults.app.purista_runtime.wiring.queue(marathon.name).longest_hold
    assert 2 * 3600 < hold.total_seconds() < (2**31 - 1) / 1000
    assert f'{{"x-consumer-timeout",{2**31 - 1}}}' in found
    assert '{"x-queue-type","quorum"}' in found


def test_a_strict_long_job_refuses_a_server_that_ignores_its_consumer_timeout(
    node: RabbitServer, faults: Faulty
) -> None:
    """The log names the contract, the need and the remedy; a newer server carries it."""
    worker = faults.worker("-c", "1", wait=False, STRICT="1")

    if node.version >= (3, 12):
        worker.ready()
        assert "Capability missing: Queue" not in worker.text
        return
    assert worker.process.wait(40) != 0
    assert "PURISTA_CAPABILITY_MISSING" in worker.text
    assert f"Queue '{marathon.name}' needs unacknowledged messages of 2:00:00" in worker.text
    assert "upgrade to 3.12, or raise consumer_timeout" in worker.text
