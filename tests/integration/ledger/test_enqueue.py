"""(none) -> ready | scheduled."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tests.integration.ledger.book import HOUR, KEEP_KEY, SECOND, Book, close_to


def test_a_job_is_ready_at_once(book: Book) -> None:
    """Its receipt names it, and its record keeps the whole message."""
    message = book.message(payload={"n": None}, parameter=[1], tenant_id="acme", trace_id="t")

    receipt = book.ledger.enqueue(message)

    assert (receipt.job_id, receipt.queue_name) == (message.id, "orders")
    assert (receipt.scheduled_at, receipt.duplicate) == (None, False)
    assert book.where(message.id) == ("ready", {"ready"})
    assert book.ledger.message("orders", message.id) == message.to_json()
    status = book.status(message.id)
    assert (status.status, status.attempt, status.max_attempts) == ("pending", 0, 3)
    assert (status.payload, status.parameter) == ({"n": None}, [1])
    assert (status.tenant_id, status.trace_id) == ("acme", "t")
    assert status.finished is False
    assert book.ttl(book.keys.job(message.id)) is None


def test_a_delayed_job_is_scheduled(book: Book) -> None:
    """Its receipt says when it is due."""
    message = book.message(delay=HOUR)
    receipt = book.ledger.enqueue(message)
    assert message.scheduled_at is not None
    assert receipt.scheduled_at == datetime.fromtimestamp(message.scheduled_at / 1000, UTC)
    assert book.where(message.id) == ("scheduled", {"scheduled"})
    assert book.client.zscore(book.keys.scheduled, message.id) == message.scheduled_at
    assert book.status(message.id).scheduled_at == receipt.scheduled_at


def test_a_job_that_was_due_in_the_past_is_ready(book: Book) -> None:
    """There is nothing to wait for, and the receipt says so."""
    receipt = book.enqueue(delay=-HOUR)
    assert receipt.scheduled_at is None
    assert book.where(receipt.job_id) == ("ready", {"ready"})


@pytest.mark.parametrize("delay", [None, HOUR], ids=["ready", "scheduled"])
@pytest.mark.parametrize("key", [None, "k"], ids=["without key", "with key"])
def test_the_same_job_again_is_no_other_job(book: Book, delay: object, key: str | None) -> None:
    """An answer that got lost on the way does no harm: the receipt is the same."""
    message = book.message(delay=delay, key=key)  # type: ignore[arg-type]
    first = book.ledger.enqueue(message)
    before = book.record(message.id)

    second = book.ledger.enqueue(message)

    assert second == first
    assert second.duplicate is False
    assert book.record(message.id) == before
    assert book.metrics().pending == 1


@pytest.mark.parametrize("state", ["ready", "leased", "completed", "dead", "cancelled"])
def test_a_repeat_does_not_bring_a_job_back(book: Book, state: str) -> None:
    """Whatever became of the job meanwhile."""
    message = book.message("j1")
    first = book.ledger.enqueue(message)
    book.in_state(state, job_id="j1")
    before = book.where("j1")

    assert book.ledger.enqueue(message) == first
    assert book.where("j1") == before


@pytest.mark.parametrize("key", [None, "k"], ids=["without key", "with key"])
def test_a_repeat_gets_its_receipt_whatever_was_retried_since(book: Book, key: str | None) -> None:
    """When the next attempt is due is no part of the receipt."""
    message = book.message("j1", key=key)
    first = book.ledger.enqueue(message)
    book.claim("j1")
    book.retry("j1", delay=HOUR)

    assert book.ledger.enqueue(message) == first
    assert book.status("j1").scheduled_at is not None


def test_another_job_with_the_key_gets_the_originals_receipt(book: Book) -> None:
    """And leaves no trace of its own."""
    first = book.enqueue("j1", key="k", delay=HOUR)
    second = book.enqueue("j2", key="k")
    assert second == first
    assert (second.duplicate, second.job_id) == (True, "j1")
    assert book.where("j2") == (None, set())


def test_keys_are_a_queues_own(book: Book) -> None:
    """The same key on another queue, or another key, is another job."""
    other = Book(book.client, book.ledger.namespace, "mails")
    receipts = [book.enqueue("j1", key="k"), other.enqueue("j2", key="k"), book.enqueue(key="l")]
    assert not any(receipt.duplicate for receipt in receipts)


@pytest.mark.parametrize("state", ["scheduled", "ready", "leased", "completed", "cancelled"])
def test_a_key_is_kept_until_the_job_has_ended_and_a_while_longer(book: Book, state: str) -> None:
    """Without an end before that, so that a slow job is not enqueued twice."""
    job_id = book.in_state(state, key="k")
    left = book.ttl(book.keys.idempotency("k"))
    if state in ("completed", "cancelled"):
        assert close_to(left, KEEP_KEY)
    else:
        assert left is None
    assert book.enqueue(key="k").job_id == job_id


def test_a_key_is_free_after_its_time(book: Book) -> None:
    """``keep_key`` after the end of its job."""
    first = book.completed(key="k")
    book.client.pexpire(book.keys.idempotency("k"), 0)
    second = book.enqueue(key="k")
    assert not second.duplicate
    assert second.job_id != first


def test_a_key_of_a_job_that_was_lost_lets_its_successor_in(book: Book) -> None:
    """Its record is gone although it never ended: the key stands for nothing."""
    lost = book.ready(key="k")
    book.client.delete(book.keys.job(lost))
    successor = book.enqueue(key="k")
    assert not successor.duplicate
    assert book.enqueue(key="k") == successor


def test_a_key_may_outlive_the_record_of_a_job_that_ended(book: Book) -> None:
    """Duplicates are still told the original's receipt, until the key's own time has come."""
    ended = book.completed(key="k")
    book.client.delete(book.keys.job(ended))
    again = book.enqueue(key="k")
    assert (again.job_id, again.duplicate) == (ended, True)


def test_many_jobs_are_stored_in_one_round_trip(book: Book) -> None:
    """Each gets its own receipt, in order; repeated keys within the batch are one job."""
    messages = [
        book.message("a"),
        book.message("b", key="k"),
        book.message("c", key="k"),
        book.message("d", delay=HOUR),
    ]
    receipts = book.ledger.enqueue_many(messages)
    assert [(r.job_id, r.duplicate) for r in receipts] == [
        ("a", False),
        ("b", False),
        ("b", True),
        ("d", False),
    ]
    assert receipts[3].scheduled_at is not None
    assert book.ledger.enqueue_many(messages) == receipts
    assert book.ledger.enqueue_many([]) == []
    assert book.metrics().pending == 3


def test_many_jobs_are_stored_on_a_redis_that_does_not_know_the_scripts(book: Book) -> None:
    """After a restart or a failover the scripts are sent again."""
    book.client.script_flush()
    assert [r.job_id for r in book.ledger.enqueue_many([book.message("a")])] == ["a"]
    book.client.script_flush()
    assert book.enqueue("b").job_id == "b"


def test_one_key_from_many_threads_is_one_job(book: Book) -> None:
    """Of 32 enqueues at once one is accepted, and all have its receipt."""
    messages = [book.message(key="k", delay=HOUR) for _ in range(32)]
    with ThreadPoolExecutor(32) as pool:
        receipts = list(pool.map(book.ledger.enqueue, messages))
    assert len({receipt.job_id for receipt in receipts}) == 1
    assert len({receipt.scheduled_at for receipt in receipts}) == 1
    assert sum(not receipt.duplicate for receipt in receipts) == 1
    assert book.metrics().pending == 1


def test_all_keys_of_a_queue_share_a_cluster_slot(book: Book) -> None:
    """Whatever has happened on it; else a script could not touch them together."""
    book.dead(key="a/{b}")
    book.completed(key="k")
    book.scheduled()
    book.held()
    book.ledger.pause("orders", "tea")
    tag = f"{{{book.ledger.namespace}:orders}}:"
    found = book.client.keys(f"*{book.ledger.namespace}*")
    assert len(found) > 8
    assert {key[: len(tag)] for key in found} == {tag}
    # Redis Cluster hashes what stands between the first braces.
    assert {key[key.index("{") + 1 : key.index("}")] for key in found} == {
        f"{book.ledger.namespace}:orders"
    }


def test_redis_clock_counts_not_the_senders(book: Book) -> None:
    """A sender whose clock is wrong by a day does not shift the retry window."""
    message = book.message().model_copy(update={"created_at": 1})
    book.ledger.enqueue(message)
    age = datetime.now(UTC) - book.status(message.id).created_at
    assert age < 60 * SECOND
    assert json.loads(book.record(message.id)["message"])["createdAt"] == 1


def test_a_key_whose_job_was_lost_does_not_keep_another_out(book: Book) -> None:
    """Somebody deleted the record by hand, or it was evicted: the key alone stands for nothing."""
    book.enqueue("j1", key="k")
    book.client.delete(book.keys.job("j1"))
    receipt = book.enqueue("j2", key="k")
    assert (receipt.job_id, receipt.duplicate) == ("j2", False)
    assert book.enqueue("j3", key="k").job_id == "j2"
