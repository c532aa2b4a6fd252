"""leased -> leased, for longer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.ledger.book import HOUR, SECOND, Book


def left(book: Book, job_id: str) -> timedelta:
    """How long the lease of a job lasts, as its record and its sorted set agree."""
    expires = book.status(job_id).lease_expires_at
    assert expires is not None
    assert book.client.zscore(book.keys.leased, job_id) == expires.timestamp() * 1000
    return expires - datetime.now(UTC)


def test_the_holder_renews_its_lease(book: Book) -> None:
    """To so long from now, as often as it asks."""
    job_id = book.held()
    book.age(job_id, HOUR / 2)
    for _ in range(2):
        assert book.extend(job_id) == ("held", False)
        assert HOUR - 30 * SECOND < left(book, job_id) <= HOUR


def test_a_lease_that_has_passed_is_renewed_if_nobody_took_the_job(book: Book) -> None:
    """A worker that was frozen, and is in time."""
    job_id = book.held()
    book.age(job_id, 2 * HOUR)
    assert book.expired() == [job_id]
    assert book.extend(job_id) == ("held", False)
    assert book.expired() == []


def test_a_job_is_held_for_its_longest_hold_at_most(book: Book) -> None:
    """Past that the lease is left to expire."""
    job_id = book.held()
    book.age(job_id, 3.5 * HOUR)
    assert book.extend(job_id) == ("held", False)
    assert left(book, job_id) < HOUR / 2 + SECOND
    book.age(job_id, HOUR)
    book.extend(job_id)
    assert left(book, job_id) < timedelta(0)
    assert book.expired() == [job_id]


def test_a_stale_fence_is_told_that_it_lost_the_job(book: Book) -> None:
    """And renews nothing."""
    job_id = book.held("w1/1")
    book.taken_over(job_id, "w1/1", "w2/1")
    before = book.record(job_id)
    assert book.extend(job_id, "w1/1", 3 * HOUR) == ("lost", False)
    assert book.record(job_id) == before


@pytest.mark.parametrize("state", ["scheduled", "completed", "cancelled", "dead"])
def test_a_job_that_nobody_holds_is_lost(book: Book, state: str) -> None:
    """Even to the fence that held it last."""
    assert book.extend(book.in_state(state)) == ("lost", False)


def test_a_job_without_a_record_is_told_apart(book: Book) -> None:
    """It is not somebody else's: its holder may tell the ledger what it has lost."""
    assert book.extend("nobody") == ("unknown", False)


def test_many_leases_are_renewed_in_one_round_trip(book: Book) -> None:
    """Each is answered for itself."""
    held, ready = book.held("w1/1"), book.ready()
    asked = [("orders", job, "w1/1", HOUR) for job in (held, ready, "nobody")]
    answers = book.ledger.extend_many(asked)
    assert [each.verdict for each in answers] == ["held", "waiting", "unknown"]
    assert (answers[0].attempt, answers[0].redrives) == (1, 0)
    assert book.ledger.extend_many([]) == []


def test_a_message_that_waits_in_a_worker_is_no_lost_message(book: Book) -> None:
    """Its job stays ready, and is not offered again meanwhile."""
    job_id = book.ready()
    book.age(job_id, 2 * HOUR)
    assert book.extend(job_id) == ("waiting", False)
    assert book.where(job_id) == ("ready", {"ready"})
    assert book.take_lost() == []


def test_the_holder_is_told_of_a_cancel_request(book: Book) -> None:
    """With each renewal."""
    job_id = book.held()
    assert book.cancel(job_id) == "requested"
    assert book.extend(job_id) == ("held", True)
    assert book.extend(job_id) == ("held", True)
