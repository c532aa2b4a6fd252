"""scheduled | ready -> cancelled at once; leased -> by its holder, else a request."""

from __future__ import annotations

from functools import partial

import pytest

from purista_celery.ledger.records import OutgoingEvent, Settled
from tests.integration.ledger.book import HOUR, KEEP_KEY, KEEP_RECORD, NOW, Book, close_to

EVENT = OutgoingEvent("j:cancelled", "{}")


@pytest.mark.parametrize("state", ["ready", "scheduled"])
def test_what_nobody_holds_is_cancelled_at_once(book: Book, state: str) -> None:
    """With its event, in one step; it is offered no more."""
    job_id = book.in_state(state, key="k")

    assert book.cancel(job_id, event=EVENT) == "done"

    assert book.where(job_id) == ("cancelled", set())
    assert book.outbox() == {EVENT.id: "{}"}
    status = book.status(job_id)
    assert (status.status, status.reason) == ("cancelled", "unwanted")
    assert status.cancelled_at is not None
    assert close_to(book.ttl(book.keys.job(job_id)), KEEP_RECORD)
    assert close_to(book.ttl(book.keys.idempotency("k")), KEEP_KEY)
    assert book.metrics().cancelled == 1


def test_a_repeat_says_done_and_changes_nothing(book: Book) -> None:
    """The event that was published stays published."""
    job_id = book.ready()
    book.cancel(job_id, event=EVENT)
    book.ledger.clear_outbox("orders", [EVENT.id])
    before = book.record(job_id)
    assert book.cancel(job_id, event=EVENT) == "done"
    assert (book.record(job_id), book.outbox()) == (before, {})
    assert book.metrics().cancelled == 1


def test_a_held_job_is_asked_for(book: Book) -> None:
    """Its holder is told, whatever it does; the first request's instant stays."""
    job_id = book.held()
    assert book.cancel(job_id, event=EVENT) == "requested"
    assert book.status(job_id).cancel_requested_at is not None
    book.client.hset(book.keys.job(job_id), "cancelRequestedAt", 1000)
    assert book.cancel(job_id, event=EVENT) == "requested"
    assert book.record(job_id)["cancelRequestedAt"] == "1000"
    assert book.where(job_id) == ("leased", {"leased"})
    assert book.outbox() == {}
    assert book.ledger.report("orders", job_id, "w1/1") == (True, True)


def test_the_holder_cancels_what_it_holds(book: Book) -> None:
    """When its handler has heard of the request, or of its own accord."""
    job_id = book.held()
    book.cancel(job_id)
    assert book.cancel(job_id, fence="w1/1", event=EVENT) == "done"
    assert book.where(job_id) == ("cancelled", set())
    assert book.outbox() == {EVENT.id: "{}"}
    assert book.cancel(job_id, fence="w1/1", event=EVENT) == "done"
    assert book.metrics().cancelled == 1


def test_a_stale_fence_can_not_cancel(book: Book) -> None:
    """The successor goes on; whoever asks without a fence is heard."""
    job_id = book.held("w1/1")
    book.taken_over(job_id, "w1/1", "w2/1")
    assert book.cancel(job_id, fence="w1/1", event=EVENT) == "lost"
    assert book.where(job_id) == ("leased", {"leased"})
    assert book.outbox() == {}


@pytest.mark.parametrize(
    ("state", "verdict"), [("completed", "settled"), ("dead", "settled"), ("unknown", "lost")]
)
@pytest.mark.parametrize("fence", ["", "w1/1"])
def test_what_has_ended_stays_as_it_ended(book: Book, state: str, verdict: str, fence: str) -> None:
    """It is too late, or there is no such job."""
    job_id = book.in_state(state)
    before = book.record(job_id)
    assert book.cancel(job_id, fence=fence, event=EVENT) == verdict
    assert (book.record(job_id), book.outbox()) == (before, {})


@pytest.mark.parametrize("state", ["ready", "scheduled"])
def test_a_fence_cancels_only_what_it_holds(book: Book, state: str) -> None:
    """Not a job that waits."""
    assert book.cancel(book.in_state(state), fence="w1/1") == "lost"


def test_a_request_outlives_the_worker(book: Book) -> None:
    """Who ends the attempt of a worker that died after the request is told to cancel the job."""
    job_id = book.held("w1/1")
    book.cancel(job_id)
    book.age(job_id, 2 * HOUR)
    ask = partial(book.ledger.retry, "orders", job_id, "w1/1", delay=NOW, reason="worker_lost")
    assert ask(abandoned=book.abandoned()) is Settled.CANCEL
    assert book.cancel(job_id, fence="w1/1") == "done"


def test_a_cancelled_job_can_not_be_changed_any_more(book: Book) -> None:
    """By any transition, with any fence."""
    job_id = book.held()
    book.cancel(job_id, fence="w1/1")
    before = book.record(job_id)
    assert book.complete(job_id) is False
    assert book.retry(job_id) is False
    assert book.bury(job_id) is False
    assert book.release(job_id) is False
    assert book.redrive(job_id) is None
    assert book.ledger.purge("orders", job_id) is False
    assert book.record(job_id) == before


@pytest.mark.parametrize("way", ["retry", "release"])
def test_a_held_job_that_is_to_be_cancelled_gets_no_other_attempt(book: Book, way: str) -> None:
    """Its holder is told to cancel it instead, and still holds it."""
    job_id = book.held()
    assert book.cancel(job_id) == "requested"
    ledger = book.ledger
    settled = (
        ledger.retry("orders", job_id, "w1/1", delay=HOUR, reason="ValueError")
        if way == "retry"
        else ledger.release("orders", job_id, "w1/1", "shutdown")
    )
    assert settled is Settled.CANCEL
    assert book.cancel(job_id, fence="w1/1") == "done"
