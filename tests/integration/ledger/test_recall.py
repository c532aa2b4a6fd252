"""A ledger that has lost what it was told (a stale replica, a crash) hears it from the holder."""

from __future__ import annotations

from datetime import timedelta

import pytest

from purista_celery.ledger.records import Holding, Verdict
from tests.integration.ledger.book import HOUR, NOW, Book


def holding(book: Book, fence: str = "w1/1", attempt: int = 1, redrives: int = 0) -> Holding:
    """Return what the holder remembers of its claim."""
    return Holding(
        fence=fence,
        worker=fence.partition("/")[0],
        attempt=attempt,
        redrives=redrives,
        window_start=book.ledger.workers.now_ms(),
        lease=HOUR,
        longest_hold=4 * HOUR,
    )


def forget(book: Book, job_id: str) -> None:
    """Lose a job's record, as a replica that lagged has never had it."""
    book.client.delete(book.keys.job(job_id), book.keys.held("w1"))
    for name in ("ready", "scheduled", "leased"):
        book.client.zrem(getattr(book.keys, name), job_id)


def test_a_record_that_is_gone_is_made_anew_and_settled(book: Book) -> None:
    """Held by the one who says so; its message carries all that is needed."""
    message = book.message("j", payload={"n": 1})
    book.ledger.enqueue(message)
    assert book.claim("j", "w1/1").verdict is Verdict.GRANTED
    forget(book, "j")
    assert book.complete("j") is False
    assert book.ledger.recall(message, holding(book)) is True
    assert book.where("j") == ("leased", {"leased"})
    assert book.expired("w1") == ["j"]
    assert book.status("j").payload == {"n": 1}
    assert book.complete("j") is True
    assert book.ttl(book.keys.job("j")) is not None


def test_a_claim_that_is_forgotten_is_made_anew(book: Book) -> None:
    """The record is as it was before it, ready or scheduled for its retry, and nobody has it."""
    for attempt in (1, 2):
        job_id = book.held("w1/1")
        if attempt == 2:
            book.retry(job_id, "w1/1")
        else:
            record = {"state": "ready", "attempt": 0}
            book.client.hset(book.keys.job(job_id), mapping=record)
            book.client.hdel(book.keys.job(job_id), "fence", "worker")
            book.client.zrem(book.keys.leased, job_id)
            book.client.zadd(book.keys.ready, {job_id: 5})
        mine = holding(book, "w1/2", attempt)
        assert book.ledger.recall(book.message(job_id), mine) is True
        assert book.where(job_id) == ("leased", {"leased"})
        assert book.ledger.recall(book.message(job_id), mine) is True
        assert book.complete(job_id, "w1/2") is True


@pytest.mark.parametrize("state", ["completed", "dead", "cancelled", "leased"])
def test_what_has_gone_on_without_its_holder_stays_so(book: Book, state: str) -> None:
    """Ended, or claimed by another: recalling changes nothing."""
    job_id = book.in_state(state, fence="w2/1") if state == "leased" else book.in_state(state)
    before = book.record(job_id)
    assert book.ledger.recall(book.message(job_id), holding(book)) is False
    assert book.record(job_id) == before


def test_an_attempt_that_was_ended_for_its_holder_is_not_its_again(book: Book) -> None:
    """A rescuer has counted it: who was frozen past its lease holds nothing when it wakes."""
    job_id = book.held("w1/1")
    book.age(job_id, 2 * HOUR)
    assert book.retry(job_id, "w1/1", abandoned=book.abandoned(), delay=NOW)
    assert book.ledger.recall(book.message(job_id), holding(book)) is False


def test_an_attempt_that_was_given_back_is_not_its_holders_again(book: Book) -> None:
    """It does not count, and the job is another's to begin."""
    job_id = book.held("w1/1")
    assert book.release(job_id, "w1/1")
    assert book.ledger.recall(book.message(job_id), holding(book)) is False


def test_a_redriven_job_is_not_its_old_holders(book: Book) -> None:
    """Its attempts begin anew, so that an old one's number proves nothing."""
    job_id = book.held("w1/1")
    book.bury(job_id)
    assert book.redrive(job_id) is not None
    assert book.ledger.recall(book.message(job_id), holding(book, attempt=3)) is False


def test_a_recalled_job_keeps_its_key_and_its_place_in_line(book: Book) -> None:
    """Unless another job has taken the key meanwhile."""
    first = book.message("a", key="k", partition_key="p")
    book.ledger.enqueue(first)
    book.claim("a", "w1/1")
    forget(book, "a")
    book.client.delete(book.keys.idempotency("k"), book.keys.line("p"))
    book.ledger.enqueue(book.message("b", partition_key="p"))
    assert book.ledger.recall(first, holding(book)) is True
    assert book.client.zrange(book.keys.line("p"), 0, -1) == ["a", "b"]
    assert book.claim("b", "w2/1").verdict is Verdict.BEHIND
    assert book.enqueue(key="k").job_id == "a"
    assert book.complete("a") is True
    assert book.claim("b", "w2/1").verdict is Verdict.GRANTED
    assert book.ttl(book.keys.idempotency("k")) > timedelta(0)  # type: ignore[operator]
