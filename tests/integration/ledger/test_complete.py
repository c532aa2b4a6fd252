"""leased -> completed."""

from __future__ import annotations

import pytest

from purista_celery.ledger.records import OutgoingEvent
from tests.integration.ledger.book import HOUR, KEEP_KEY, KEEP_RECORD, Book, close_to

EVENT = OutgoingEvent("j:success", '{"id": "j:success"}')


def test_the_holder_completes_with_output_and_event_in_one_step(book: Book) -> None:
    """Nothing waits any more; the record is kept for a while."""
    job_id = book.held(key="k")

    assert book.complete(job_id, event=EVENT) is True

    assert book.where(job_id) == ("completed", set())
    assert book.outbox() == {EVENT.id: EVENT.envelope}
    status = book.status(job_id)
    assert (status.status, status.output, status.attempt) == ("completed", {"total": 1}, 1)
    assert status.completed_at is not None
    assert status.finished
    assert close_to(book.ttl(book.keys.job(job_id)), KEEP_RECORD)
    assert close_to(book.ttl(book.keys.idempotency("k")), KEEP_KEY)
    assert book.metrics().completed == 1


def test_a_repeat_says_done_and_changes_nothing(book: Book) -> None:
    """Its first answer got lost on the way; the event that was published stays published."""
    job_id = book.held()
    book.complete(job_id, event=EVENT)
    book.ledger.clear_outbox("orders", [EVENT.id])
    before = book.record(job_id)

    assert book.complete(job_id, output="2", event=EVENT) is True

    assert book.record(job_id) == before
    assert book.outbox() == {}
    assert book.metrics().completed == 1


def test_without_a_policy_the_outbox_stays_empty(book: Book) -> None:
    """Nobody asked for an event."""
    book.completed()
    assert book.outbox() == {}


def test_a_stale_fence_can_not_complete(book: Book) -> None:
    """What a frozen worker did is dropped; its successor's outcome counts."""
    job_id = book.held("w1/1")
    book.taken_over(job_id, "w1/1", "w2/1")
    before = book.record(job_id)

    assert book.complete(job_id, "w1/1", output='"old"', event=EVENT) is False
    assert (book.record(job_id), book.outbox()) == (before, {})

    assert book.complete(job_id, "w2/1", output='"new"') is True
    assert book.complete(job_id, "w1/1", output='"old"', event=EVENT) is False
    assert book.status(job_id).output == "new"


@pytest.mark.parametrize("state", ["unknown", "ready", "scheduled", "cancelled", "dead"])
def test_only_what_is_held_can_be_completed(book: Book, state: str) -> None:
    """Not even by the fence that held it last."""
    job_id = book.in_state(state)
    before = book.record(job_id)
    assert book.complete(job_id, event=EVENT) is False
    assert (book.record(job_id), book.outbox()) == (before, {})


def test_the_error_of_an_earlier_attempt_is_forgotten(book: Book) -> None:
    """A completed job has no reason to show."""
    job_id = book.held()
    book.retry(job_id)
    book.age(job_id, 2 * HOUR)
    book.take_due()
    book.claim(job_id, "w1/2")
    book.complete(job_id, "w1/2")
    status = book.status(job_id)
    assert (status.reason, status.error, status.attempt) == (None, None, 2)


def test_a_completed_job_can_not_be_changed_any_more(book: Book) -> None:
    """By any transition, with any fence."""
    job_id = book.completed()
    before = book.record(job_id)
    assert book.retry(job_id) is False
    assert book.bury(job_id) is False
    assert book.bury(job_id, "") is False
    assert book.release(job_id) is False
    assert book.cancel(job_id) == "settled"
    assert book.cancel(job_id, fence="w1/1") == "settled"
    assert book.redrive(job_id) is None
    assert book.ledger.purge("orders", job_id) is False
    assert book.ledger.report("orders", job_id, "w1/1", "progress", 1) == (False, False)
    assert book.record(job_id) == before
