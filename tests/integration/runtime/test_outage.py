"""An outage of ledger or broker under a running handler costs it no attempt, and little time."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from purista_celery.errors import BrokerUnavailable, LedgerUnavailable
from purista_celery.ledger.connection import connect
from purista_celery.ledger.ledger import Ledger
from purista_celery.runtime import reports
from purista_celery.runtime.execute import Ending
from tests.integration.runtime.executing import Desk
from tests.support.servers import RedisServer


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis that the test may stop."""
    made = RedisServer().start()
    yield made
    made.close()


@pytest.fixture
def fragile(server: RedisServer) -> Iterator[Desk]:
    made = Desk(server)
    yield made
    made.close()


def test_progress_in_a_tight_loop_goes_on_through_an_outage(
    fragile: Desk, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left out, told once, and the handler neither fails nor waits again and again."""
    caplog.set_level(logging.INFO, logger=reports.__name__)
    took: list[float] = []

    def act(job: Any) -> str:
        job.progress(1)
        server.stop()
        began = time.monotonic()
        for done in range(100):
            job.progress(done)
            assert not job.cancel_requested
            job.raise_if_cancelled()
        took.append(time.monotonic() - began)
        server.start()
        return "done"

    fragile.act = act
    job_id = fragile.enqueue()
    assert fragile.run(job_id).ending is Ending.COMPLETED
    assert fragile.status(job_id).attempt == 1
    told = [each for each in caplog.records if "left out" in each.message]
    assert len([each for each in told if "ledger" in each.message]) == 1
    assert took[0] < 10  # Each call took four seconds, before.


def test_progress_is_taken_again_after_an_outage(
    fragile: Desk, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon: the pause between two tries is short."""
    monkeypatch.setattr(reports, "PAUSE", 0.0)

    def act(job: Any) -> None:
        server.stop()
        job.progress(1)
        server.start()
        job.progress(2)

    fragile.act = act
    job_id = fragile.enqueue()
    fragile.run(job_id)
    assert fragile.status(job_id).progress == {"done": 2}


def test_a_checkpoint_waits_for_the_ledger(fragile: Desk, server: RedisServer) -> None:
    """What is worth to be kept is worth to be waited for."""

    def act(job: Any) -> None:
        server.stop()
        back = threading.Timer(1.0, server.start)
        back.start()
        job.checkpoint({"page": 7})
        job.extend_lease()
        back.join()

    fragile.act = act
    job_id = fragile.enqueue()
    assert fragile.run(job_id).ending is Ending.COMPLETED
    assert fragile.status(job_id).last_checkpoint == {"page": 7}


def test_a_ledger_that_hangs_holds_progress_up_for_a_moment(fragile: Desk) -> None:
    """It accepts connections and says nothing: nobody waits ten seconds for news."""
    with socket.create_server(("127.0.0.1", 0)) as hung:
        client = connect(f"redis://127.0.0.1:{hung.getsockname()[1]}", hasty=True)
        runtime = fragile.app.purista_runtime
        news = reports.Reports(Ledger(client, "none", timedelta(hours=1)), runtime.publisher)
        began = time.monotonic()
        for _ in range(100):
            assert news.report("desk.plain", "job", "w1/1", "progress", 1) == (True, False)
        assert time.monotonic() - began < 8
        client.close()


OUTAGES = [LedgerUnavailable("away"), BrokerUnavailable("away")]


@pytest.mark.parametrize("error", OUTAGES)
@pytest.mark.parametrize("in_a_group", [False, True])
def test_an_outage_costs_no_attempt(desk: Desk, error: Exception, in_a_group: bool) -> None:  # noqa: FBT001
    """The job waits for a while, and has as many attempts left as before."""

    async def grouped(_: Any) -> None:
        async def task() -> None:
            raise error

        async with asyncio.TaskGroup() as group:
            group.create_task(task())

    def plain(_: Any) -> None:
        raise error

    desk.act = grouped if in_a_group else plain
    job_id = desk.enqueue(max_attempts=1)
    execution = desk.run(job_id)
    status = desk.status(job_id)
    assert (execution.ending, status.status, status.attempt) == (Ending.RETRIED, "pending", 0)
    assert status.reason == type(error).__name__
    assert execution.delay >= timedelta(seconds=1)


def test_an_outage_does_not_last_beyond_the_retry_window(desk: Desk) -> None:
    """Then it is a failure like any other: no job goes round for ever."""

    def act(_: Any) -> None:
        raise BrokerUnavailable("away")

    desk.act = act
    job_id = desk.enqueue(max_attempts=2)
    ledger = desk.app.purista_runtime.ledger
    ledger.client.hset(ledger.keys("desk.plain").job(job_id), "windowStart", 1)
    assert desk.run(job_id).ending is Ending.BURIED
    assert desk.status(job_id).reason == "retry_window_expired"


def test_a_cancelled_job_is_not_postponed(desk: Desk) -> None:
    """Somebody asked meanwhile: there is no other attempt."""

    def act(job: Any) -> None:
        desk.app.purista.cancel(job.id)
        raise BrokerUnavailable("away")

    desk.act = act
    job_id = desk.enqueue()
    assert desk.run(job_id).ending is Ending.CANCELLED
    assert desk.status(job_id).status == "cancelled"


def test_an_error_beside_an_outage_counts(desk: Desk) -> None:
    """Not everything that happens in an outage is its fault."""

    def act(_: Any) -> None:
        raise ExceptionGroup("both", [LedgerUnavailable("away"), ValueError("wrong")])

    desk.act = act
    job_id = desk.enqueue()
    desk.run(job_id)
    assert desk.status(job_id).attempt == 1


def test_a_broker_that_is_away_does_not_hold_progress_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Progress events are news too: one is tried, and the outage is told of once."""
    tried: list[object] = []

    def publish(event: object, *_: Any, **__: Any) -> None:
        tried.append(event)
        raise BrokerUnavailable("away")

    def act(job: Any) -> None:
        for done in range(50):
            job.progress(done)

    runtime = desk.app.purista_runtime
    gate = reports.Reports(runtime.ledger, runtime.publisher)
    monkeypatch.setattr(runtime.publisher, "publish", publish)
    monkeypatch.setattr(runtime.executor, "_reports", gate)
    desk.act = act
    job_id = desk.enqueue()
    assert desk.run(job_id).ending is Ending.COMPLETED
    assert desk.status(job_id).progress == {"done": 49}
    assert len(tried) == len([each for each in caplog.records if "left out" in each.message]) == 1
