"""dead -> ready | scheduled (redrive), dead -> (none) (purge), (none) -> dead (park)."""

from __future__ import annotations

import base64
import json

import pytest

from purista_celery.ledger.records import RawMessage
from tests.integration.ledger.book import HOUR, KEEP_KEY, NOW, Book, close_to


def test_a_redriven_dead_letter_starts_anew_on_its_queue(book: Book) -> None:
    """From its first attempt, in a new window; its message is returned, to be offered."""
    job_id = book.dead()
    book.age(job_id, 10 * HOUR)
    old_window = int(book.record(job_id)["windowStart"])

    assert book.redrive(job_id) == book.ledger.message("orders", job_id)

    assert book.where(job_id) == ("ready", {"ready"})
    status = book.status(job_id)
    assert (status.status, status.attempt, status.failed_at) == ("pending", 0, None)
    claim = book.claim(job_id, "w2/1")
    assert (claim.attempt, claim.window_start > old_window) == (1, True)
    assert book.take_lost() == []


def test_a_redrive_can_be_delayed(book: Book) -> None:
    """A stager offers it when it is due."""
    job_id = book.dead()
    assert book.redrive(job_id, HOUR) is not None
    assert book.where(job_id) == ("scheduled", {"scheduled"})
    assert book.take_due() == []
    book.age(job_id, 2 * HOUR)
    assert book.take_due() == [job_id]


def test_a_repeated_redrive_changes_nothing(book: Book) -> None:
    """Only a dead letter is redriven."""
    job_id = book.dead()
    book.redrive(job_id)
    before = book.record(job_id)
    assert book.redrive(job_id) is None
    assert book.record(job_id) == before


@pytest.mark.parametrize(
    "state", ["unknown", "ready", "scheduled", "leased", "completed", "cancelled"]
)
def test_only_a_dead_letter_is_redriven_or_purged(book: Book, state: str) -> None:
    """Anything else stays as it is."""
    job_id = book.in_state(state)
    before = book.record(job_id)
    assert book.redrive(job_id) is None
    assert book.ledger.purge("orders", job_id) is False
    assert book.record(job_id) == before


def test_the_holder_from_before_its_death_can_not_settle_a_redriven_job(book: Book) -> None:
    """Its fence is stale, and its cancel request is forgotten."""
    job_id = book.held("w1/1")
    book.cancel(job_id)
    book.bury(job_id, "w1/1")
    book.redrive(job_id)
    assert book.bury(job_id, "w1/1") is False
    assert book.retry(job_id, "w1/1") is False
    book.claim(job_id, "w2/1")
    assert book.complete(job_id, "w1/1") is False
    assert book.extend(job_id, "w2/1") == ("held", False)


def test_a_redriven_jobs_key_is_kept_until_it_ends_again(book: Book) -> None:
    """Else a duplicate would be accepted while the original runs."""
    job_id = book.dead(key="k")
    assert close_to(book.ttl(book.keys.idempotency("k")), KEEP_KEY)
    book.redrive(job_id)
    assert book.ttl(book.keys.idempotency("k")) is None
    assert book.enqueue(key="k").job_id == job_id
    book.claim(job_id, "w2/1")
    book.complete(job_id, "w2/1")
    assert close_to(book.ttl(book.keys.idempotency("k")), KEEP_KEY)


def test_a_redriven_job_takes_back_a_key_that_has_run_out(book: Book) -> None:
    """As long as nobody else uses it."""
    receipt = book.enqueue("j1", key="k")
    book.claim("j1")
    book.bury("j1")
    book.client.delete(book.keys.idempotency("k"))
    book.redrive("j1")
    assert book.enqueue("j2", key="k") == receipt


def test_a_redriven_job_leaves_a_key_to_the_job_that_has_it_now(book: Book) -> None:
    """When it ends, the other's key lives on."""
    first = book.dead(key="k")
    book.client.delete(book.keys.idempotency("k"))
    second = book.ready(key="k")
    book.redrive(first)
    book.claim(first, "w2/1")
    book.complete(first, "w2/1")
    assert book.ttl(book.keys.idempotency("k")) is None
    assert book.enqueue(key="k").job_id == second


def test_a_purged_dead_letter_is_gone(book: Book) -> None:
    """For good; a repeat finds nothing."""
    job_id = book.dead()
    assert book.ledger.purge("orders", job_id) is True
    assert book.where(job_id) == (None, set())
    assert book.ledger.purge("orders", job_id) is False
    assert book.metrics().dead_letter == 0


def test_a_dead_letter_without_a_record_can_be_purged(book: Book) -> None:
    """Somebody deleted the record by hand; the list must not count it for ever."""
    job_id = book.dead()
    book.client.delete(book.keys.job(job_id))
    assert book.redrive(job_id) is None
    assert book.ledger.purge("orders", job_id) is True
    assert book.metrics().dead_letter == 0


def test_what_is_no_job_is_kept_bytes_and_all(book: Book) -> None:
    """As a dead letter with a reason; headers that are no JSON are shown as they print."""
    message = RawMessage(b"\xff\x00not json", {"id": "m1", "what": object}, "q", "a/b", "binary")
    book.ledger.park("orders", "m1", message, reason="undecodable", error="no JSON")
    assert book.where("m1") == ("dead", {"dead"})
    status = book.status("m1")
    assert (status.status, status.reason, status.error) == ("deadLetter", "undecodable", "no JSON")
    assert (status.attempt, status.payload) == (0, None)
    assert base64.b64decode(status.raw or "") == b"\xff\x00not json"
    assert json.loads(book.record("m1")["source"])["headers"] == {
        "id": "m1",
        "what": "<class 'object'>",
    }
    assert book.ttl(book.keys.job("m1")) is None


def park(book: Book, message_id: str, raw: bytes = b"x") -> None:
    message = RawMessage(raw, {"n": 1}, "broker.q", "application/json", "utf-8")
    book.ledger.park("orders", message_id, message, reason="undecodable", error="")


def test_a_kept_message_goes_back_as_it_came(book: Book) -> None:
    """It is a dead letter until the broker has it, and then no more."""
    park(book, "m1", b"\xff")
    message = book.ledger.begin_unpark("orders", "m1")
    assert message == RawMessage(b"\xff", {"n": 1}, "broker.q", "application/json", "utf-8")
    assert book.where("m1") == ("dead", {"dead"})
    book.ledger.end_unpark("orders", "m1")
    assert book.where("m1") == (None, set())
    assert book.ledger.begin_unpark("orders", "m1") is None


def test_a_message_that_is_parked_again_during_its_redrive_stays(book: Book) -> None:
    """A worker may refuse it again before the redrive has come to its end."""
    park(book, "m1")
    book.ledger.begin_unpark("orders", "m1")
    park(book, "m1")
    book.ledger.end_unpark("orders", "m1")
    assert book.where("m1") == ("dead", {"dead"})


@pytest.mark.parametrize("state", ["unknown", "ready", "leased", "dead", "completed"])
def test_only_a_kept_message_goes_back(book: Book, state: str) -> None:
    """A job does not lose its record by it."""
    job_id = book.in_state(state)
    before = book.record(job_id)
    assert book.ledger.begin_unpark("orders", job_id) is None
    book.ledger.end_unpark("orders", job_id)
    assert book.record(job_id) == before


def test_the_same_message_again_is_parked_once(book: Book) -> None:
    """Its first answer got lost on the way."""
    park(book, "m1", b"first")
    before = book.record("m1")
    park(book, "m1", b"second")
    assert book.record("m1") == before
    assert book.client.hget(book.keys.stats, "dead") == "1"


def test_a_message_with_the_id_of_a_job_does_not_overwrite_it(book: Book) -> None:
    """The job is what was accepted."""
    job_id = book.ready()
    before = book.record(job_id)
    park(book, job_id)
    assert book.record(job_id) == before
    assert book.where(job_id) == ("ready", {"ready"})


def test_a_parked_message_can_be_purged_but_not_redriven(book: Book) -> None:
    """There is nothing that could run."""
    park(book, "m1")
    assert book.redrive("m1") is None
    assert book.where("m1") == ("dead", {"dead"})
    assert book.ledger.purge("orders", "m1") is True


def test_a_pause_is_kept_with_its_reason_and_survives_its_repetition(book: Book) -> None:
    """The last reason counts; resuming twice is resuming."""
    book.ledger.pause("orders", "tea")
    book.ledger.pause("orders", "dinner")
    assert book.metrics().paused == "dinner"
    assert book.ttl(book.keys.paused) is None
    for _ in range(2):
        book.ledger.resume("orders")
        assert book.metrics().paused is None


def test_a_pause_is_a_queues_own(book: Book) -> None:
    """Other queues go on, and enqueueing does too."""
    other = Book(book.client, book.ledger.namespace, "mails")
    book.ledger.pause("orders", "tea")
    assert book.where(book.ready())[0] == "ready"
    assert other.held()
    assert book.take_lost(NOW) == []
