"""leased -> leased: the holder writes down progress and checkpoints."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.ledger.book import Book


@pytest.mark.parametrize(
    "value", [0, None, {"done": 1, "total": None}, [1, "zwei", 3.0], "ü", {"n": 2**80}]
)
def test_the_holder_writes_down_how_far_it_is(book: Book, value: Any) -> None:
    """Any JSON; the last value counts."""
    job_id = book.held()
    for field in ("progress", "checkpoint"):
        assert book.ledger.report("orders", job_id, "w1/1", field, "first") == (True, False)
        assert book.ledger.report("orders", job_id, "w1/1", field, value) == (True, False)
    status = book.status(job_id)
    assert (status.progress, status.last_checkpoint) == (value, value)
    assert book.where(job_id) == ("leased", {"leased"})


def test_looking_changes_nothing(book: Book) -> None:
    """Without a field it only tells whether the caller is the holder, and of a cancel."""
    job_id = book.held()
    before = book.record(job_id)
    assert book.ledger.report("orders", job_id, "w1/1") == (True, False)
    assert book.record(job_id) == before
    book.cancel(job_id)
    assert book.ledger.report("orders", job_id, "w1/1") == (True, True)


def test_a_stale_fence_can_not_report(book: Book) -> None:
    """The checkpoint of its successor stays; of a cancel only the holder is told."""
    job_id = book.held("w1/1")
    book.taken_over(job_id, "w1/1", "w2/1")
    book.ledger.report("orders", job_id, "w2/1", "checkpoint", "new")
    book.cancel(job_id)
    assert book.ledger.report("orders", job_id, "w1/1", "checkpoint", "old") == (False, False)
    assert book.status(job_id).last_checkpoint == "new"


@pytest.mark.parametrize(
    "state", ["unknown", "ready", "scheduled", "completed", "cancelled", "dead"]
)
def test_only_what_is_held_is_reported_on(book: Book, state: str) -> None:
    """Anything else stays as it is."""
    job_id = book.in_state(state)
    before = book.record(job_id)
    assert book.ledger.report("orders", job_id, "w1/1", "progress", 1) == (False, False)
    assert book.record(job_id) == before
