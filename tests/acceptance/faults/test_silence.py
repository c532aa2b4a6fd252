"""A network that forgets connections says nothing: after missed heartbeats all are made anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.faults.conftest import Faulty, compiled
from tests.acceptance.faults.services import placed
from tests.acceptance.spine.services import Work, work
from tests.support.line import Line

#: Seconds; two minutes on RabbitMQ and 25 s on Redis where nothing is set.
HEARTBEAT = "2"


@pytest.fixture
def forgotten(faults: Faulty, broker_line: Line) -> Iterator[Faulty]:
    """A worker that has worked, and all of whose connections to the broker are forgotten then."""
    url = broker_line.through(faults.stage.broker_url)
    worker = faults.worker("-c", "1", PURISTA_BROKER_URL=url, HEARTBEAT=HEARTBEAT)
    # Its pool has published and its router has heard, each on a connection of its own.
    faults.await_trace("completed", f"{faults.enqueue().job_id}:success")

    broker_line.forget()
    yield faults
    assert worker.process.poll() is None


def test_a_worker_finds_its_broker_again_when_its_connections_are_forgotten(
    forgotten: Faulty,
) -> None:
    """It consumes, hears events and publishes results again, each on a new connection."""
    job_id = forgotten.enqueue().job_id
    forgotten.client.emit(placed, Work(n=2))

    assert forgotten.client.wait(job_id, 40).attempt == 1
    forgotten.await_trace("exactly", "2", timeout=40)
    forgotten.await_trace("completed", f"{job_id}:success", timeout=40)
    assert len(forgotten.traced("start", job_id)) == 1


def test_a_producer_whose_connection_is_forgotten_is_not_stuck(
    faults: Faulty, broker_line: Line
) -> None:
    """Its next job and event go out on a new connection, in bounded time."""
    stage = faults.stage
    app = compiled(stage, broker_line.through(stage.broker_url), stage.ledger_url)
    app.purista.enqueue(work, Work(n=1))
    app.purista.emit(placed, Work(n=1))
    broker_line.forget()

    job_id = app.purista.enqueue(work, Work(n=2)).job_id
    app.purista.emit(placed, Work(n=2))

    app.close()
    app.purista_runtime.ledger.client.close()
    faults.worker("-c", "1")
    assert faults.client.wait(job_id, 30).status == "completed"
    faults.await_trace("exactly", "2")
