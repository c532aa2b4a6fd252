"""leased | ready -> dead."""

from __future__ import annotations

import pytest

from purista_celery.ledger import reading
from purista_celery.ledger.records import OutgoingEvent
from tests.integration.ledger.book import HOUR, KEEP_KEY, NOW, Book, close_to

EVENTS = [OutgoingEvent("j:failed", "{}"), OutgoingEvent("j:dead-lettered", "{}")]


def test_the_holder_buries_with_reason_and_events_in_one_step(book: Book) -> None:
    """A dead letter stays until it is redriven or purged."""
    job_id = book.held(key="k")

    assert book.bury(job_id, events=EVENTS) is True

    assert book.where(job_id) == ("dead", {"dead"})
    assert book.outbox() == {event.id: event.envelope for event in EVENTS}
    status = book.status(job_id)
    assert (status.status, status.reason, status.error) == ("deadLetter", "hopeless", "it is")
    assert status.failed_at is not None
    assert status.finished
    assert book.ttl(book.keys.job(job_id)) is None
    assert close_to(book.ttl(book.keys.idempotency("k")), KEEP_KEY)
    assert book.metrics().dead_letter == 1


def test_a_repeat_says_done_and_changes_nothing(book: Book) -> None:
    """The events that were published stay published."""
    job_id = book.held()
    book.bury(job_id, events=EVENTS)
    book.ledger.clear_outbox("orders", [event.id for event in EVENTS])
    before = book.record(job_id)
    assert book.bury(job_id, reason="other", events=EVENTS) is True
    assert (book.record(job_id), book.outbox()) == (before, {})


def test_a_stale_fence_can_not_bury(book: Book) -> None:
    """The successor goes on undisturbed."""
    job_id = book.held("w1/1")
    book.taken_over(job_id, "w1/1", "w2/1")
    before = book.record(job_id)
    assert book.bury(job_id, "w1/1", events=EVENTS) is False
    assert (book.record(job_id), book.outbox()) == (before, {})


def test_a_ready_job_is_buried_without_a_fence(book: Book) -> None:
    """A message that no worker can run has no holder."""
    job_id = book.ready()
    assert book.bury(job_id, "w1/1") is False
    assert book.bury(job_id, "") is True
    assert book.where(job_id) == ("dead", {"dead"})
    assert book.bury(job_id, "") is True


@pytest.mark.parametrize("fence", ["", "w1/1"])
@pytest.mark.parametrize("state", ["unknown", "scheduled", "completed", "cancelled"])
def test_nothing_else_can_be_buried(book: Book, state: str, fence: str) -> None:
    """With or without a fence."""
    job_id = book.in_state(state)
    before = book.record(job_id)
    assert book.bury(job_id, fence, events=EVENTS) is False
    assert (book.record(job_id), book.outbox()) == (before, {})


def test_a_held_job_is_not_buried_without_its_fence(book: Book) -> None:
    """Only its holder may."""
    job_id = book.held()
    assert book.bury(job_id, "") is False
    assert book.where(job_id) == ("leased", {"leased"})


def test_an_abandoned_job_is_buried_for_its_holder(book: Book) -> None:
    """Once its lease has passed, or if its worker is known to be dead."""
    first, second = book.held("w1/1"), book.held("w1/2")
    for holder in ("", "w2"):
        assert book.bury(first, "w1/1", abandoned=book.abandoned(holder)) is False
    assert book.bury(first, "w1/1", abandoned=book.abandoned("w1")) is True
    book.age(second, 2 * HOUR)
    assert book.bury(second, "w1/2", abandoned=book.abandoned("")) is True


def test_dead_letters_are_listed_oldest_first(book: Book) -> None:
    """With what is needed to judge them."""
    letters = [book.dead(payload={"n": n}) for n in range(3)]
    book.age(letters[2], HOUR)
    found = reading.jobs(book.ledger, "orders", ("dead",), 2)
    assert [(letter.job_id, letter.payload) for letter in found] == [
        (letters[2], {"n": 2}),
        (letters[0], {"n": 0}),
    ]
    assert reading.jobs(book.ledger, "orders", ("dead",), 0) == []


def test_a_dead_letter_is_not_offered(book: Book) -> None:
    """Neither as due, nor as lost, nor as expired."""
    job_id = book.dead()
    book.age(job_id, 10 * HOUR)
    assert (book.take_due(), book.take_lost(NOW), book.expired("w1")) == ([], [], [])
