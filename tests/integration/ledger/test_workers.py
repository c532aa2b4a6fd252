"""Which workers are alive, which messages were seen, and what happens while Redis is away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from purista_celery.errors import LedgerUnavailable
from purista_celery.ledger import patience, reading
from purista_celery.ledger.connection import connect
from purista_celery.ledger.keys import heard_key, workers_key
from purista_celery.ledger.records import RawMessage
from purista_celery.ledger.spans import milliseconds
from tests.integration.ledger.book import HOUR, KEEP_KEY, NOW, SECOND, Book
from tests.support.servers import RedisServer, free_port

TTL = timedelta(seconds=15)


def heard_for(book: Book, long: timedelta = HOUR, *, gap: timedelta = NOW) -> None:
    """Let workers have been heard from for so long without a gap, until ``gap`` ago."""
    now = book.ledger.workers.now_ms()
    times = {"since": now - milliseconds(long), "last": now - milliseconds(gap)}
    book.client.hset(heard_key(book.ledger.namespace), mapping=times)


def silence(book: Book, worker: str, by: timedelta = SECOND) -> None:
    """Let a worker's announcement have run out that long ago."""
    until = book.ledger.workers.now_ms() - milliseconds(by)
    book.client.zadd(workers_key(book.ledger.namespace), {worker: until})


def dead(book: Book) -> tuple[str, ...] | None:
    look = book.ledger.workers.look(TTL)
    return None if look is None or look.renewable_since else look.dead


def test_a_worker_is_dead_when_its_announcement_has_run_out(book: Book) -> None:
    """Announcing again brings it back; retiring forgets it."""
    workers = book.ledger.workers
    heard_for(book)
    workers.announce("alive", TTL)
    silence(book, "silent")
    assert dead(book) == ("silent",)
    workers.announce("silent", TTL)
    assert dead(book) == ()
    silence(book, "alive")
    workers.retire("alive")
    workers.retire("alive")
    assert dead(book) == ()


@pytest.mark.parametrize(
    ("long", "gap", "sure"),
    [
        (HOUR, NOW, True),
        # Nobody has been heard from for a while: a stall, in which nobody can say that he lives.
        (HOUR, timedelta(seconds=6), False),
        # It is over, and not all have had the time to say so.
        (timedelta(seconds=14), NOW, False),
        (timedelta(seconds=16), NOW, True),
    ],
)
def test_the_silence_of_all_is_nobodys_death(
    book: Book, long: timedelta, gap: timedelta, *, sure: bool
) -> None:
    """Nobody is dead unless others could be heard for as long as one may be silent."""
    heard_for(book, long, gap=gap)
    silence(book, "silent", HOUR / 2)
    assert dead(book) == (("silent",) if sure else None)


def test_a_ledger_that_has_heard_nobody_yet_takes_nobody_for_dead(book: Book) -> None:
    """A new one, or one that has lost its data."""
    silence(book, "silent")
    assert dead(book) is None


def test_who_announces_learns_of_a_gap(book: Book) -> None:
    """What was heard before it counts no more; a clock that was set back is one, too."""
    workers = book.ledger.workers
    heard_for(book, gap=timedelta(seconds=4))
    since = workers.announce("w1", TTL)
    assert abs(workers.now_ms() - since - milliseconds(HOUR)) < 1000
    assert workers.announce("w2", TTL) == since
    for gap in (timedelta(seconds=6), -HOUR):
        heard_for(book, gap=gap)
        assert workers.now_ms() - workers.announce("w1", TTL) < 1000


def test_a_look_is_good_for_as_long_as_nobody_may_be_silent(book: Book) -> None:
    """Its finder must act upon it before that."""
    heard_for(book)
    look = book.ledger.workers.look(TTL)
    assert look is not None
    assert abs(look.until - book.ledger.workers.now_ms() - 5000) < 1000


def test_a_worker_that_is_dead_for_more_than_a_day_is_forgotten(book: Book) -> None:
    """No lease of its own can be left by then."""
    heard_for(book)
    silence(book, "old", timedelta(days=2))
    assert dead(book) == ()
    assert book.client.zcard(workers_key(book.ledger.namespace)) == 0


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
    lambda b: reading.attention(b.ledger, ["orders"], HOUR, HOUR),
    lambda b: b.expired(),
    lambda b: b.ledger.take_outbox("orders", HOUR, 1),
    lambda b: b.ledger.clear_outbox("orders", ["e"]),
    lambda b: b.redrive("j"),
    lambda b: b.ledger.purge("orders", "j"),
    lambda b: b.ledger.pause("orders", ""),
    lambda b: b.ledger.resume("orders"),
    lambda b: b.ledger.workers.announce("w", HOUR),
    lambda b: b.ledger.workers.retire("w"),
    lambda b: b.ledger.workers.look(HOUR),
    lambda b: reading.with_passed_leases(b.ledger, ["orders"]),
    lambda b: reading.with_waiting_events(b.ledger, ["orders"], HOUR),
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
