"""leased -> leased: the holder keeps what it is about to hand over, in parts."""

from __future__ import annotations

import pytest

from tests.integration.ledger.book import Book


def test_parts_are_kept_with_a_checkpoint_and_forgotten_one_by_one(book: Book) -> None:
    """They vanish with the record, and show nowhere."""
    job_id = book.held()
    keep = book.ledger.keep
    assert keep("orders", job_id, "w1/1", {0: "a", 1: "b"}, {"parts": 2}) == (True, False)
    assert [book.ledger.kept("orders", job_id, part) for part in (0, 1, 2)] == ["a", "b", ""]
    assert book.status(job_id).last_checkpoint == {"parts": 2}
    assert keep("orders", job_id, "w1/1", {0: ""}) == (True, False)
    assert [book.ledger.kept("orders", job_id, part) for part in (0, 1)] == ["", "b"]
    assert book.status(job_id).last_checkpoint == {"parts": 2}
    book.cancel(job_id)
    assert keep("orders", job_id, "w1/1", {1: ""}) == (True, True)


def test_a_stale_fence_keeps_and_forgets_nothing(book: Book) -> None:
    """What its successor has kept stays."""
    job_id = book.held("w1/1")
    book.taken_over(job_id, "w1/1", "w2/1")
    book.ledger.keep("orders", job_id, "w2/1", {0: "new"}, "new")
    for parts in ({0: "old"}, {0: ""}):
        assert book.ledger.keep("orders", job_id, "w1/1", parts, "old") == (False, False)
    assert book.ledger.kept("orders", job_id, 0) == book.status(job_id).last_checkpoint == "new"


@pytest.mark.parametrize(
    "state", ["unknown", "ready", "scheduled", "completed", "cancelled", "dead"]
)
def test_only_what_is_held_keeps(book: Book, state: str) -> None:
    """Anything else stays as it is."""
    job_id = book.in_state(state)
    before = book.record(job_id)
    assert book.ledger.keep("orders", job_id, "w1/1", {0: "a"}) == (False, False)
    assert book.record(job_id) == before
