"""Which workers are alive, which messages were seen, and what happens while Redis is away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from purista_celery.errors import LedgerUnavailable
from purista_celery.ledger import patience, reading
from purista_celery.ledger.connection import connect
from purista_celery.ledger.keys import presence_channel, workers_key
from purista_celery.ledger.records import RawMessage
from tests.integration.ledger.book import HOUR, KEEP_KEY, NOW, SECOND, Book
from tests.support.servers import RedisServer, free_port
from tests.support.waiting import until


def test_a_worker_is_dead_when_its_announcement_has_run_out(book: Book) -> None:
    """Announcing again brings it back; retiring forgets it."""
    ledger = book.ledger
    ledger.workers.announce("alive", HOUR)
    ledger.workers.announce("silent", -SECOND)
    assert ledger.workers.dead_workers() == ["silent"]
    ledger.workers.announce("silent", HOUR)
    assert ledger.workers.dead_workers() == []
    ledger.workers.announce("alive", -SECOND)
    ledger.workers.retire("alive")
    ledger.workers.retire("alive")
    assert ledger.workers.dead_workers() == []


def test_a_worker_that_is_dead_for_more_than_a_day_is_forgotten(book: Book) -> None:
    """No lease of its own can be left by then."""
    book.ledger.workers.announce("old", -timedelta(days=2))
    assert book.ledger.workers.dead_workers() == []
    assert book.client.zcard(workers_key(book.ledger.namespace)) == 0


def test_a_worker_is_present_while_it_is_connected(book: Book) -> None:
    """As Redis sees its subscription, whatever the worker says."""
    assert not book.ledger.workers.is_present("w1")
    with book.client.pubsub() as pubsub:
        pubsub.subscribe(presence_channel(book.ledger.namespace, "w1"))
        assert book.ledger.workers.is_present("w1")
        assert not book.ledger.workers.is_present("w2")
    until(lambda: not book.ledger.workers.is_present("w1"), "the subscription ends")


def test_a_strange_message_is_remembered_since_it_was_seen_first(book: Book) -> None:
    """For as long as was asked for."""
    assert book.ledger.first_seen("m1", HOUR) == NOW
    key = f"{{{book.ledger.namespace}}}:unknown:m1"
    book.client.set(key, int(book.client.get(key)) - 60_000, keepttl=True)
    assert 60 * SECOND <= book.ledger.first_seen("m1", HOUR) < 120 * SECOND
    assert 0 < book.client.pttl(key) <= 3_600_000


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[Book]:
    """A ledger on a port that nobody listens on, and that tries once."""
    monkeypatch.setattr(patience, "RETRIES", 0)
    client = connect(f"redis://127.0.0.1:{free_port()}/0")
    yield Book(client, "t")
    client.close()


CALLS: list[Callable[[Book], object]] = [
    lambda b: b.enqueue(),
    lambda b: b.ledger.enqueue_many([b.message()]),
    lambda b: b.claim("j"),
    lambda b: b.extend("j"),
    lambda b: b.complete("j"),
    lambda b: b.retry("j"),
    lambda b: b.bury("j"),
    lambda b: b.release("j"),
    lambda b: b.cancel("j"),
    lambda b: b.ledger.report("orders", "j", "w1/1"),
    lambda b: b.ledger.park("orders", "j", RawMessage(b"", {}, ""), reason="", error=""),
    lambda b: b.take_due(),
    lambda b: b.take_lost(),
    lambda b: reading.attention(b.ledger, ["orders"], HOUR, HOUR, HOUR),
    lambda b: b.expired(),
    lambda b: b.ledger.take_outbox("orders", HOUR, 1),
    lambda b: b.ledger.clear_outbox("orders", ["e"]),
    lambda b: b.redrive("j"),
    lambda b: b.ledger.purge("orders", "j"),
    lambda b: b.ledger.pause("orders", ""),
    lambda b: b.ledger.resume("orders"),
    lambda b: b.ledger.workers.announce("w", HOUR),
    lambda b: b.ledger.workers.retire("w"),
    lambda b: b.ledger.workers.dead_workers(),
    lambda b: b.ledger.workers.is_present("w"),
    lambda b: b.ledger.first_seen("m", HOUR),
    lambda b: b.ledger.message("orders", "j"),
    lambda b: b.ledger.held("orders", "j"),
    lambda b: b.status("j"),
    lambda b: b.metrics(),
    lambda b: reading.jobs(b.ledger, "orders", ("ready",), 1),
    lambda b: reading.leases(b.ledger, "orders", 1),
]


@pytest.mark.parametrize("call", CALLS, ids=range(len(CALLS)))
def test_a_ledger_that_does_not_answer_is_told_as_such(
    away: Book, call: Callable[[Book], object]
) -> None:
    """By every call, with a code and a remedy; nothing was accepted."""
    with pytest.raises(LedgerUnavailable, match=r"did not answer.*PURISTA_LEDGER_URL") as caught:
        call(away)
    assert caught.value.code == "PURISTA_LEDGER_UNAVAILABLE"


def test_a_restart_of_redis_goes_unnoticed_and_forgets_nothing() -> None:
    """A call that meets the restart waits it out; records, keys and scripts are there after it."""
    server = RedisServer().start()
    client = connect(server.url)
    book = Book(client, "t")
    try:
        held = book.held(key="k")
        server.stop()
        restart = threading.Thread(target=server.start)
        restart.start()
        assert book.complete(held) is True
        restart.join()
        assert book.status(held).status == "completed"
        assert book.enqueue(key="k").job_id == held
        assert book.ttl(book.keys.idempotency("k")) <= KEEP_KEY  # type: ignore[operator]
    finally:
        client.close()
        server.close()
