"""leased -> ready: given back, unfinished."""

from __future__ import annotations

import pytest

from tests.integration.ledger.book import HOUR, NOW, Book


def test_a_job_that_is_given_back_keeps_its_attempts(book: Book) -> None:
    """A deploy must not make dead letters."""
    job_id = book.held(max_attempts=1)
    for number in range(2, 5):
        assert book.release(job_id, f"w1/{number - 1}") is True
        assert book.where(job_id) == ("ready", {"ready"})
        status = book.status(job_id)
        assert (status.attempt, status.reason, status.worker) == (0, "shutdown", None)
        assert book.claim(job_id, f"w1/{number}").attempt == 1


def test_a_repeat_says_done_and_counts_once(book: Book) -> None:
    """Its first answer got lost on the way."""
    job_id = book.held()
    book.release(job_id)
    before = book.record(job_id)
    assert book.release(job_id) is True
    assert book.record(job_id) == before
    book.claim(job_id, "w2/1")
    assert book.release(job_id) is False


def test_a_stale_fence_can_not_give_back(book: Book) -> None:
    """The successor goes on undisturbed, and its attempt counts."""
    job_id = book.held("w1/1")
    book.taken_over(job_id, "w1/1", "w2/1")
    assert book.release(job_id, "w1/1") is False
    assert book.status(job_id).attempt == 2


@pytest.mark.parametrize(
    "state", ["unknown", "ready", "scheduled", "completed", "cancelled", "dead"]
)
def test_only_what_is_held_can_be_given_back(book: Book, state: str) -> None:
    """Anything else stays as it is."""
    job_id = book.in_state(state)
    before = book.record(job_id)
    assert book.release(job_id) is False
    assert book.record(job_id) == before


def test_a_released_jobs_checkpoint_stays(book: Book) -> None:
    """The next attempt goes on from there."""
    job_id = book.held()
    book.ledger.report("orders", job_id, "w1/1", "checkpoint", 7)
    book.release(job_id)
    assert book.claim(job_id, "w2/1").last_checkpoint == 7


def test_a_released_job_has_just_been_seen(book: Book) -> None:
    """It is offered by its worker; only if that fails, by a stager."""
    job_id = book.held()
    book.age(job_id, 2 * HOUR)
    book.release(job_id)
    assert book.take_lost() == []
    assert book.take_lost(NOW) == [job_id]
