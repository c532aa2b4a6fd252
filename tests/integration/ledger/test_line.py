"""Jobs in order: one at a time in each partition, by the time at which they became due."""

from __future__ import annotations

from datetime import timedelta

import pytest

from purista_celery.ledger.records import Verdict
from tests.integration.ledger.book import HOUR, NOW, Book

GRANTED, BEHIND = Verdict.GRANTED, Verdict.BEHIND


def offered(book: Book) -> list[str]:
    """Take what is to be offered because it has no message."""
    return [offer.job_id for offer in book.ledger.take_urgent("orders", 100)]


def test_a_job_waits_for_the_one_before_it_in_its_partition(book: Book) -> None:
    """It is refused without an attempt, not offered in vain, and offered when its turn comes."""
    first, second = (book.ready(partition_key="acme") for _ in range(2))
    claim = book.claim(second)
    assert (claim.verdict, claim.attempt) == (BEHIND, 0)
    assert (offered(book), book.take_lost(NOW)) == ([], [first])

    assert book.claim(first).verdict is GRANTED
    assert book.claim(second).verdict is BEHIND
    book.complete(first)
    assert offered(book) == [second]
    assert book.claim(second).verdict is GRANTED


def test_partitions_and_jobs_without_one_do_not_wait_for_each_other(book: Book) -> None:
    """Order is within a partition."""
    for partition in ("acme", "globex", None):
        assert book.claim(book.ready(partition_key=partition)).verdict is GRANTED


@pytest.mark.parametrize("end", ["complete", "bury", "cancel", "cancel unheld"])
def test_every_end_lets_the_next_one_in(book: Book, end: str) -> None:
    """Whatever became of the one before it."""
    first, second = (book.ready(partition_key="acme") for _ in range(2))
    if end != "cancel unheld":
        book.claim(first)
    book.claim(second, "w2/1")
    fence = "w1/1" if end == "cancel" else ""
    book.cancel(first, fence=fence) if "cancel" in end else getattr(book, end)(first)

    assert offered(book) == [second]
    assert book.claim(second, "w2/2").verdict is GRANTED


def test_a_job_that_is_tried_again_keeps_its_place(book: Book) -> None:
    """Nobody overtakes it while it waits for its next attempt."""
    first, second = (book.ready(partition_key="acme") for _ in range(2))
    book.claim(first)
    book.retry(first, delay=HOUR)
    assert book.claim(second).verdict is BEHIND
    book.age(first, HOUR)
    assert book.take_due() == [first]
    assert book.claim(second).verdict is BEHIND
    assert book.claim(first, "w1/2").verdict is GRANTED


def test_a_delayed_job_takes_its_place_when_it_is_due(book: Book) -> None:
    """Until then it holds nobody up; a redriven one stands at the end of the line as well."""
    delayed = book.scheduled(partition_key="acme")
    early, late = (book.ready(partition_key="acme") for _ in range(2))
    assert book.claim(early).verdict is GRANTED
    book.age(delayed, 2 * HOUR)
    assert book.take_due() == [delayed]
    book.bury(early)
    book.redrive(early)
    assert book.client.zrange(book.keys.line("acme"), 0, -1) == [late, delayed, early]


def test_a_job_whose_record_is_lost_holds_nobody_up(book: Book) -> None:
    """Nor does one that ended without a word: the stager looks at lines that are quiet."""
    first, second = (book.ready(partition_key="acme") for _ in range(2))
    assert book.claim(second).verdict is BEHIND
    book.client.delete(book.keys.job(first))
    book.client.zrem(book.keys.ready, first)

    book.ledger.call_turns("orders", HOUR, 10)
    assert offered(book) == [], "something has happened in this line just now"
    book.ledger.call_turns("orders", timedelta(milliseconds=-1), 10)
    assert offered(book) == [second]
    assert book.claim(second).verdict is GRANTED


def test_an_empty_line_leaves_nothing_behind(book: Book) -> None:
    """Partitions may be as many as there are tenants."""
    book.complete(book.held(partition_key="acme"))
    assert not book.client.exists(book.keys.lines, book.keys.line("acme"))
