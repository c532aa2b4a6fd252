"""leased -> scheduled: something else hindered the attempt; it does not count."""

from __future__ import annotations

from datetime import timedelta

import pytest

from purista_celery.ledger.records import Settled
from tests.integration.ledger.book import HOUR, SECOND, Book

FIRST, LONGEST = 2 * SECOND, 5 * SECOND


def postpone(book: Book, job_id: str, fence: str = "w1/1") -> tuple[Settled, timedelta]:
    return book.ledger.postpone(
        "orders", job_id, fence, first=FIRST, longest=LONGEST, reason="away", error="it was"
    )


def due(book: Book, job_id: str, fence: str) -> None:
    """Let a postponed job be due, and claimed."""
    book.age(job_id, HOUR)
    assert book.take_due() == [job_id]
    assert book.claim(job_id, fence).attempt == 1


def test_a_hindered_attempt_does_not_count_and_waits_ever_longer(book: Book) -> None:
    """Up to a limit; the last attempt is left, however often."""
    job_id = book.held(max_attempts=1)
    for number, seconds in enumerate((2, 4, 5, 5), 1):
        assert postpone(book, job_id, f"w1/{number}") == (Settled.DONE, seconds * SECOND)
        assert book.where(job_id) == ("scheduled", {"scheduled"})
        status = book.status(job_id)
        assert (status.attempt, status.reason, status.error) == (0, "away", "it was")
        assert (status.worker, status.scheduled_at is not None) == (None, True)
        assert book.take_due() == []
        due(book, job_id, f"w1/{number + 1}")


def test_a_repeat_says_done_and_counts_once(book: Book) -> None:
    """Its first answer got lost on the way."""
    job_id = book.held()
    postpone(book, job_id)
    before = book.record(job_id)
    settled, left = postpone(book, job_id)
    assert (settled, book.record(job_id)) == (Settled.DONE, before)
    assert timedelta(0) < left <= FIRST


def test_a_stale_fence_can_not_postpone(book: Book) -> None:
    """The successor goes on undisturbed."""
    job_id = book.held("w1/1")
    book.taken_over(job_id, "w1/1", "w2/1")
    assert postpone(book, job_id)[0] is Settled.LOST
    assert book.status(job_id).attempt == 2


@pytest.mark.parametrize(
    "state", ["unknown", "ready", "scheduled", "completed", "cancelled", "dead"]
)
def test_only_what_is_held_can_be_postponed(book: Book, state: str) -> None:
    """Anything else stays as it is."""
    job_id = book.in_state(state)
    before = book.record(job_id)
    assert postpone(book, job_id)[0] is Settled.LOST
    assert book.record(job_id) == before


def test_what_is_to_be_cancelled_is_not_postponed(book: Book) -> None:
    """There is to be no other attempt."""
    job_id = book.held()
    assert book.cancel(job_id) == "requested"
    assert postpone(book, job_id)[0] is Settled.CANCEL
    assert book.where(job_id)[0] == "leased"
