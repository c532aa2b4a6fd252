"""A pool process killed while the ledger is away: its job does not wait for the end of a lease."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.acceptance.spine.conftest import Spine
from tests.acceptance.spine.services import Work, patient
from tests.support.line import Line
from tests.support.waiting import until


@pytest.fixture
def line(spine: Spine) -> Iterator[Line]:
    """The workers' way to the ledger."""
    made = Line.to(spine.stage.ledger_url)
    spine.stage.extra["PURISTA_LEDGER_URL"] = made.through(spine.stage.ledger_url)
    yield made
    made.close()


def test_a_lost_process_is_settled_when_the_ledger_is_back(spine: Spine, line: Line) -> None:
    """The lease is fifteen minutes; the next attempt begins when the ledger answers."""
    worker = spine.worker("-c", "1")
    job_id = spine.client.enqueue(patient, Work(seconds=600)).job_id
    [start] = spine.await_trace("start", job_id)

    line.cut()
    os.kill(int(start[1]), signal.SIGKILL)
    until(
        lambda: "could not be settled yet" in worker.text, lambda: f"it is noticed: {worker.text}"
    )
    line.mend()

    spine.await_trace("start", job_id, count=2, timeout=20)
    assert spine.client.job(job_id).attempt == 2
