"""A ledger that loses a running job's record, or its claim: the job goes on, and its end counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from purista_celery.errors import LedgerUnavailable
from purista_celery.runtime.execute import Ending
from tests.integration.runtime.executing import Desk


def forget(desk: Desk, job_id: str, what: str) -> None:
    """Lose what a replica that lagged has never had."""
    ledger = desk.app.purista_runtime.ledger
    keys = ledger.keys("desk.plain")
    ledger.client.zrem(keys.leased, job_id)
    if what == "record":
        ledger.client.delete(keys.job(job_id))
    else:
        ledger.client.hset(keys.job(job_id), mapping={"state": "ready", "attempt": 0})
        ledger.client.hdel(keys.job(job_id), "fence", "worker")
        ledger.client.zadd(keys.ready, {job_id: 5})


ENDS: dict[str, tuple[Callable[[Any], Any], Ending, str]] = {
    "complete": (lambda job: "done", Ending.COMPLETED, "completed"),
    "progress": (lambda job: job.progress(1, 2), Ending.COMPLETED, "completed"),
    "checkpoint": (lambda job: job.checkpoint(7), Ending.COMPLETED, "completed"),
    "extend": (lambda job: job.extend_lease(), Ending.COMPLETED, "completed"),
    "ask": (lambda job: job.raise_if_cancelled(), Ending.COMPLETED, "completed"),
    "retry": (lambda job: job.retry("later", timedelta(minutes=1)), Ending.RETRIED, "pending"),
    "bury": (lambda job: job.dead_letter("no"), Ending.BURIED, "deadLetter"),
}


@pytest.mark.parametrize("what", ["record", "claim"])
@pytest.mark.parametrize("end", ENDS)
def test_the_holder_tells_it_again(desk: Desk, end: str, what: str) -> None:
    """Whatever it says or asks next, and however it ends; nothing is dropped."""
    act, ending, status = ENDS[end]

    def lose_and_act(job: Any) -> Any:
        forget(desk, job.id, what)
        return act(job)

    desk.act = lose_and_act
    job_id = desk.enqueue()
    assert desk.run(job_id).ending is ending
    found = desk.status(job_id)
    assert (found.status, found.attempt) == (status, 1)


def test_an_attempt_that_an_outage_hindered_is_postponed_all_the_same(desk: Desk) -> None:
    """Uncounted, as where nothing was lost."""

    def hindered(job: Any) -> None:
        forget(desk, job.id, "record")
        raise LedgerUnavailable("away")

    desk.act = hindered
    job_id = desk.enqueue()
    assert desk.run(job_id).ending is Ending.RETRIED
    assert (desk.status(job_id).status, desk.status(job_id).attempt) == ("pending", 0)
