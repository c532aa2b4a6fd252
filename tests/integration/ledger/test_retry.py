"""leased -> scheduled | ready."""

from __future__ import annotations

import pytest

from tests.integration.ledger.book import HOUR, NOW, Book


def test_a_failed_attempt_is_followed_by_another_after_its_delay(book: Book) -> None:
    """The job waits, held by nobody, and shows why."""
    job_id = book.held(key="k")

    assert book.retry(job_id) is True

    assert book.where(job_id) == ("scheduled", {"scheduled"})
    status = book.status(job_id)
    assert (status.status, status.attempt) == ("pending", 1)
    assert (status.reason, status.error) == ("ValueError", "no such row")
    assert (status.worker, status.lease_expires_at) == (None, None)
    assert status.scheduled_at is not None
    assert status.scheduled_at - status.updated_at == HOUR
    assert book.metrics().retries == 1
    assert book.ttl(book.keys.idempotency("k")) is None


def test_without_a_delay_the_job_is_ready(book: Book) -> None:
    """It is to be offered at once."""
    job_id = book.held()
    assert book.retry(job_id, delay=NOW) is True
    assert book.where(job_id) == ("ready", {"ready"})
    assert book.claim(job_id, "w2/1").attempt == 2


@pytest.mark.parametrize("delay", [NOW, HOUR], ids=["ready", "scheduled"])
def test_a_repeat_says_done_and_changes_nothing(book: Book, delay: object) -> None:
    """Its first answer got lost on the way; the worker is not told that it lost the job."""
    job_id = book.held()
    book.retry(job_id, delay=delay)
    before = book.record(job_id)
    assert book.retry(job_id, delay=delay) is True
    assert book.record(job_id) == before
    assert book.metrics().retries == 1


def test_a_repeat_after_the_next_claim_is_refused(book: Book) -> None:
    """By then another holds the job, or has held it."""
    job_id = book.held("w1/1")
    book.retry(job_id, "w1/1", delay=NOW)
    book.claim(job_id, "w2/1")
    assert book.retry(job_id, "w1/1", delay=NOW) is False
    book.retry(job_id, "w2/1", delay=NOW)
    assert book.retry(job_id, "w1/1", delay=NOW) is False
    assert book.metrics().retries == 2


def test_a_stale_fence_can_not_retry(book: Book) -> None:
    """The successor goes on undisturbed."""
    job_id = book.held("w1/1")
    book.taken_over(job_id, "w1/1", "w2/1")
    before = book.record(job_id)
    assert book.retry(job_id, "w1/1") is False
    assert book.record(job_id) == before


@pytest.mark.parametrize(
    "state", ["unknown", "ready", "scheduled", "completed", "cancelled", "dead"]
)
def test_only_what_is_held_can_be_retried(book: Book, state: str) -> None:
    """Not even by the fence that held it last."""
    job_id = book.in_state(state)
    before = book.record(job_id)
    assert book.retry(job_id) is False
    assert book.record(job_id) == before


def test_an_abandoned_job_is_retried_for_its_holder(book: Book) -> None:
    """Once its lease has passed, or if its worker is known to be dead."""
    job_id = book.held("w1/1")
    assert book.retry(job_id, abandoned=book.abandoned("")) is False
    assert book.retry(job_id, abandoned=book.abandoned("w2")) is False
    assert book.where(job_id) == ("leased", {"leased"})

    assert book.retry(job_id, abandoned=book.abandoned("w1"), delay=NOW) is True
    book.claim(job_id, "w2/1")
    book.age(job_id, 2 * HOUR)
    assert book.retry(job_id, "w2/1", abandoned=book.abandoned(""), delay=NOW) is True
    assert book.where(job_id) == ("ready", {"ready"})


def test_who_comes_back_is_told_that_the_job_was_retried_without_it(book: Book) -> None:
    """A worker that was frozen past its lease, and of two rescuers the second."""
    job_id = book.held("w1/1")
    book.age(job_id, 2 * HOUR)
    assert book.retry(job_id, "w1/1", abandoned=book.abandoned("")) is True
    assert book.retry(job_id, "w1/1", abandoned=book.abandoned("")) is False
    assert book.retry(job_id, "w1/1") is False
    assert book.complete(job_id, "w1/1") is False
    assert book.metrics().retries == 1


def test_the_window_counts_from_the_first_acceptance(book: Book) -> None:
    """Not from the last attempt."""
    job_id = book.held()
    book.age(job_id, 2 * HOUR)
    start = int(book.record(job_id)["windowStart"])
    book.retry(job_id, delay=NOW)
    assert book.claim(job_id, "w2/1").window_start == start
