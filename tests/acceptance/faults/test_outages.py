"""Broker or ledger go away, each alone, at the worst moment; afterwards nothing is missing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from celery import Celery

from purista_celery.errors import BrokerUnavailable, LedgerUnavailable
from tests.acceptance.faults.conftest import Faulty, compiled
from tests.acceptance.faults.services import placed
from tests.acceptance.spine.services import Work, work
from tests.support.line import Line
from tests.support.waiting import until


@pytest.fixture
def producer(faults: Faulty, broker_line: Line, ledger_line: Line) -> Iterator[Celery]:
    """An app of a producer that reaches each server by a line of its own."""
    stage = faults.stage
    app = compiled(
        stage, broker_line.through(stage.broker_url), ledger_line.through(stage.ledger_url)
    )
    yield app
    app.close()
    app.purista_runtime.ledger.client.close()


@pytest.mark.parametrize("fault", ["cut", "hang"])
def test_the_broker_is_down_at_enqueue(
    faults: Faulty, producer: Celery, broker_line: Line, fault: str
) -> None:
    """Jobs are accepted all the same, in bounded time, and run once; events get a coded error,
    and are not delivered later.
    """
    client = producer.purista
    client.enqueue(work, Work(n=1))
    client.emit(placed, Work(n=1))

    getattr(broker_line, fault)()
    began = time.monotonic()
    with ThreadPoolExecutor(2) as both:
        emitting = both.submit(client.emit, placed, Work(n=2))
        receipt = both.submit(client.enqueue, work, Work(n=2)).result()
        with pytest.raises(BrokerUnavailable, match="was not accepted"):
            emitting.result()
    # Bounded: so many tries of so many seconds.
    assert time.monotonic() - began < 25
    faults.worker("-c", "2")

    # The worker offers it, although the producer's broker is still away.
    status = faults.client.wait(receipt.job_id, 30)
    assert (status.status, status.attempt) == ("completed", 1)
    broker_line.mend()
    client.emit(placed, Work(n=3))
    faults.await_trace("exactly", "3")
    assert [line[4] for line in faults.traced("exactly")] == ["1", "3"]
    assert len(faults.traced("start", receipt.job_id)) == 1


@pytest.mark.parametrize("stage", ["redis"], indirect=True)  # No broker is asked.
def test_the_ledger_is_down_at_enqueue(faults: Faulty, producer: Celery, ledger_line: Line) -> None:
    """A coded error, nothing in the broker, and nothing runs later."""
    ledger_line.cut()
    with pytest.raises(LedgerUnavailable):
        producer.purista.enqueue(work, Work(n=2))
    ledger_line.mend()
    accepted = producer.purista.enqueue(work, Work(n=3))
    faults.worker("-c", "1")

    assert faults.client.wait(accepted.job_id, 30).status == "completed"
    assert {line[3] for line in faults.traced("start")} == {accepted.job_id}


def test_the_broker_is_down_when_a_job_ends(faults: Faulty, broker_line: Line) -> None:
    """The outcome is settled at once, the result event waits in the outbox, and the message, which
    can not be acknowledged, comes again and is not run again.
    """
    url = broker_line.through(faults.stage.broker_url)
    worker = faults.worker(PURISTA_BROKER_URL=url)
    job_id = faults.enqueue("deaf", seconds=2).job_id
    faults.await_trace("start", job_id)

    broker_line.cut()

    status = faults.client.wait(job_id, 30)
    assert (status.status, status.attempt) == ("completed", 1)
    ledger = faults.app.purista_runtime.ledger
    outbox = ledger.keys(work.name).outbox
    assert ledger.client.hkeys(outbox) == [f"{job_id}:success"]
    until(lambda: "a relay will publish them" in worker.text, "the publish fails", 60)
    assert faults.traced("completed", f"{job_id}:success") == []
    broker_line.mend()
    faults.await_trace("completed", f"{job_id}:success", timeout=60)
    until(lambda: ledger.client.hlen(outbox) == 0, "the outbox is empty")
    after = faults.enqueue().job_id
    assert faults.client.wait(after, 60).status == "completed"
    assert len(faults.traced("start", job_id)) == 1
    assert len(faults.traced("completed", f"{job_id}:success")) == 1


def test_the_ledger_is_down_at_claim_and_at_settle(faults: Faulty, ledger_line: Line) -> None:
    """A worker that claims and settles without its ledger waits for it, and runs each job once."""
    url = ledger_line.through(faults.stage.ledger_url)
    worker = faults.worker("-c", "1", PURISTA_LEDGER_URL=url)
    ledger_line.cut()
    job_id = faults.enqueue("deaf", seconds=2).job_id
    until(lambda: "The ledger does not answer; trying again." in worker.text, "it can not claim")
    assert faults.traced("start") == []

    ledger_line.mend()
    faults.await_trace("start", job_id)
    asked = worker.text.count("The ledger does not answer; trying again.")
    ledger_line.cut()
    faults.await_trace("end", job_id)
    until(
        lambda: worker.text.count("The ledger does not answer; trying again.") > asked,
        "it can not settle",
    )
    assert faults.client.job(job_id).status == "inFlight"

    ledger_line.mend()
    status = faults.client.wait(job_id, 30)
    assert (status.status, status.attempt) == ("completed", 1)
    faults.await_trace("completed", f"{job_id}:success")
    assert len(faults.traced("start", job_id)) == 1
