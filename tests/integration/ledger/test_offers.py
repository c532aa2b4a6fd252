"""What maintenance takes: what is due, lost, expired, or waits in the outbox."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from purista_celery.ledger import reading
from purista_celery.ledger.records import OutgoingEvent
from tests.integration.ledger.book import HOUR, NOW, SECOND, Book


def test_what_is_due_becomes_ready_and_is_offered_with_its_message(book: Book) -> None:
    """Once; what is not due yet waits on."""
    due, waiting = book.scheduled(payload=7), book.scheduled()
    book.age(due, 2 * HOUR)

    [offer] = book.ledger.take_due("orders", 10)

    assert (offer.job_id, offer.attempt) == (due, 0)
    assert offer.message == book.ledger.message("orders", due)
    assert book.where(due) == ("ready", {"ready"})
    assert book.where(waiting) == ("scheduled", {"scheduled"})
    assert book.take_due() == []


def test_a_retried_job_is_offered_with_its_attempts(book: Book) -> None:
    """So that the next delivery shows them."""
    job_id = book.held()
    book.retry(job_id)
    book.age(job_id, 2 * HOUR)
    assert [offer.attempt for offer in book.ledger.take_due("orders", 10)] == [1]


def test_due_jobs_are_taken_earliest_first_and_in_batches(book: Book) -> None:
    """At most as many as were asked for."""
    jobs = [book.scheduled() for _ in range(5)]
    for hours, job_id in enumerate(jobs):
        book.age(job_id, (2 + hours) * HOUR)
    assert book.take_due(2) == [jobs[4], jobs[3]]
    assert book.take_due() == [jobs[2], jobs[1], jobs[0]]


def test_of_several_stagers_one_offers_a_due_job(book: Book) -> None:
    """Each job goes to one of them."""
    jobs = [book.scheduled() for _ in range(50)]
    for job_id in jobs:
        book.age(job_id, 2 * HOUR)
    with ThreadPoolExecutor(8) as pool:
        taken = [job for batch in pool.map(lambda _: book.take_due(10), range(8)) for job in batch]
    assert sorted(taken) == sorted(jobs)


def test_a_due_job_without_a_record_is_forgotten(book: Book) -> None:
    """Somebody deleted it by hand."""
    job_id = book.scheduled()
    book.age(job_id, 2 * HOUR)
    book.client.delete(book.keys.job(job_id))
    assert book.take_due() == []
    assert book.where(job_id) == (None, set())


def test_a_ready_job_that_was_not_seen_for_long_is_lost_and_offered_again(book: Book) -> None:
    """Once per grace period."""
    lost, fresh = book.ready(), book.ready()
    book.age(lost, 2 * HOUR)

    [offer] = book.ledger.take_lost("orders", HOUR, 10)

    assert (offer.job_id, offer.attempt) == (lost, 0)
    assert offer.message == book.ledger.message("orders", lost)
    assert book.where(lost) == ("ready", {"ready"})
    assert book.where(fresh) == ("ready", {"ready"})
    assert book.take_lost() == []
    book.age(lost, 2 * HOUR)
    assert book.take_lost() == [lost]


def test_a_paused_queues_jobs_are_not_lost(book: Book) -> None:
    """They wait; when the queue resumes they are offered."""
    job_id = book.ready()
    book.age(job_id, 2 * HOUR)
    book.ledger.pause("orders", "tea")
    assert book.take_lost() == []
    book.ledger.resume("orders")
    assert book.take_lost() == [job_id]


def test_a_lost_job_without_a_record_is_forgotten(book: Book) -> None:
    """Somebody deleted it by hand."""
    job_id = book.ready()
    book.age(job_id, 2 * HOUR)
    book.client.delete(book.keys.job(job_id))
    assert book.take_lost() == []
    assert book.where(job_id) == (None, set())


def test_lost_jobs_are_taken_in_batches_each_by_one(book: Book) -> None:
    """Of several stagers, and at most as many as were asked for."""
    jobs = [book.ready() for _ in range(50)]
    for job_id in jobs:
        book.age(job_id, 2 * HOUR)
    assert len(book.take_lost(limit=2)) == 2
    with ThreadPoolExecutor(8) as pool:
        taken = [job for batch in pool.map(lambda _: book.take_lost(), range(8)) for job in batch]
    assert len(taken) == len(set(taken)) == 48


def test_a_lease_that_has_passed_is_expired(book: Book) -> None:
    """All that is needed to settle it is told; asking changes nothing."""
    job_id, alive = book.held("w1/1"), book.held("w1/2")
    book.age(job_id, 2 * HOUR)
    before = book.record(job_id)
    for _ in range(2):
        [found] = book.ledger.expired("orders", [], 10)
        assert (found.job_id, found.fence, found.worker) == (job_id, "w1/1", "w1")
        assert (found.attempt, found.max_attempts) == (1, 3)
        assert found.window_start == int(before["windowStart"])
        assert found.message == book.ledger.message("orders", job_id)
    assert book.record(job_id) == before
    assert book.where(alive) == ("leased", {"leased"})


def test_a_dead_workers_leases_are_expired_before_they_end(book: Book) -> None:
    """Those of living workers are not; one that is both is told once."""
    first, second, third = book.held("w1/1"), book.held("w2/1"), book.held("w3/1")
    book.age(third, 2 * HOUR)
    assert book.expired() == [third]
    assert sorted(book.expired("w1", "w3")) == sorted([first, third])
    assert second not in book.expired("w1", "w3")
    assert len(book.expired("w1", "w2", "w3", limit=2)) == 2


def test_a_lease_that_could_not_be_renewed_is_left_alone(book: Book) -> None:
    """After a gap in what was heard; one that was granted since has passed by itself."""
    before = book.held("w1/1")
    gap = book.ledger.workers.now_ms() + 1
    after = book.held("w1/2")
    for job_id in (before, after):
        book.client.zadd(book.keys.leased, {job_id: 1})
    book.client.hset(book.keys.job(after), "updatedAt", gap)
    expired = partial(book.ledger.expired, "orders", [], 10)
    assert [job.job_id for job in expired(renewed_since=gap)] == [after]
    assert len(expired()) == 2


def test_a_lease_without_a_record_is_forgotten(book: Book) -> None:
    """Somebody deleted it by hand."""
    job_id = book.held()
    book.age(job_id, 2 * HOUR)
    book.client.delete(book.keys.job(job_id))
    assert book.expired() == []
    assert book.where(job_id) == (None, set())


def test_an_event_that_waits_in_the_outbox_is_taken_once_per_while(book: Book) -> None:
    """Until it is cleared; a fresh one is its signal hook's."""
    first, second = OutgoingEvent("a:success", '{"a": 1}'), OutgoingEvent("b:success", "{}")
    book.complete(book.held("w1/1"), "w1/1", event=first)
    book.complete(book.held("w1/2"), "w1/2", event=second)
    assert book.ledger.take_outbox("orders", HOUR, 10) == []
    book.age_event(first.id, 2 * HOUR)

    assert book.ledger.take_outbox("orders", HOUR, 10) == [first]
    assert book.ledger.take_outbox("orders", HOUR, 10) == []
    assert book.metrics().outbox == 2

    book.ledger.clear_outbox("orders", [first.id])
    book.ledger.clear_outbox("orders", [first.id])
    book.ledger.clear_outbox("orders", [])
    assert book.outbox() == {second.id: "{}"}
    assert book.ledger.take_outbox("orders", NOW, 10) == [second]
    assert book.client.zrange(book.keys.outbox_times, 0, -1) == [second.id]


def test_of_several_relays_one_publishes_an_event(book: Book) -> None:
    """Each event goes to one of them, in batches."""
    events = [OutgoingEvent(f"{n}:success", "{}") for n in range(20)]
    book.bury(book.held(), events=events)
    for event in events:
        book.age_event(event.id, 2 * HOUR)
    assert len(book.ledger.take_outbox("orders", HOUR, 5)) == 5
    with ThreadPoolExecutor(8) as pool:
        batches = pool.map(lambda _: book.ledger.take_outbox("orders", HOUR, 100), range(8))
        taken = [event for batch in batches for event in batch]
    assert len(taken) == len(set(taken)) == 15


def test_an_outbox_time_without_an_event_is_forgotten(book: Book) -> None:
    """Half of a clearing that somebody did by hand."""
    book.client.zadd(book.keys.outbox_times, {"x": 1})
    assert book.ledger.take_outbox("orders", NOW, 10) == []
    assert not book.client.exists(book.keys.outbox_times)


def make_due(book: Book) -> None:
    book.age(book.scheduled(), 2 * HOUR)


def make_lost(book: Book) -> None:
    book.age(book.ready(), 2 * HOUR)


def make_expired(book: Book) -> None:
    book.age(book.held(), 2 * HOUR)


def make_waiting(book: Book) -> None:
    book.complete(book.held(), event=OutgoingEvent("e", "{}"))
    book.age_event("e", 2 * HOUR)


def needs(book: Book, *queues: str) -> dict[str, set[str]]:
    """Return what each of ``queues`` needs; one that needs nothing is left out."""
    found = {
        each.queue: {name for name in ("due", "lost", "urgent", "quiet") if getattr(each, name)}
        for each in reading.attention(book.ledger, queues, HOUR, HOUR)
    }
    for queue in reading.with_passed_leases(book.ledger, queues):
        found.setdefault(queue, set()).add("expired")
    for queue in reading.with_waiting_events(book.ledger, queues, HOUR):
        found.setdefault(queue, set()).add("outbox")
    return found


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (make_due, "due"),
        (make_lost, "lost"),
        (make_expired, "expired"),
        (make_waiting, "outbox"),
    ],
)
def test_a_look_tells_which_queues_need_something(
    book: Book, make: Callable[[Book], None], what: str
) -> None:
    """And for what; a queue on which all is well is left out."""
    calm = Book(book.client, book.ledger.namespace, "calm")
    for each in (calm.ready, calm.held, calm.scheduled, calm.dead):
        each()
    calm.complete(calm.held(), event=OutgoingEvent("e", "{}"))
    queues = ["calm", "orders", "empty"]
    assert needs(book, *queues) == {}
    make(book)
    assert needs(book, *queues) == {"orders": {what}}


def test_no_more_jobs_are_offered_again_than_can_have_no_message(book: Book) -> None:
    """What waits in the broker for long is not lost; only what is missing there may be."""
    jobs = [book.ready() for _ in range(15)]
    for job_id in jobs:
        book.age(job_id, 2 * HOUR)
    take = partial(book.ledger.take_lost, "orders", HOUR, 100)
    assert take(waiting=15) == []
    assert take(waiting=20) == []
    assert len(take(waiting=13)) == 2
    # Those have one again, so that nothing is missing.
    assert take(waiting=13) == []


def test_a_job_that_is_lost_behind_a_backlog_is_offered_at_last(book: Book) -> None:
    """If a message is missing at all, and by one who looks at a time."""
    lost = book.ready()
    for _ in range(5):
        book.ready()
    take = partial(book.ledger.take_lost, "orders", HOUR, 100)
    book.age(lost, 59 * HOUR)
    assert take(waiting=5) == []
    book.age(lost, 2 * HOUR)
    assert take(waiting=6) == []
    assert [offer.job_id for offer in take(waiting=5)] == [lost]
    book.age(lost, 61 * HOUR)
    assert take(waiting=5) == []


def test_a_dead_workers_jobs_are_found_without_a_look_at_the_others(book: Book) -> None:
    """Each worker's are a set of their own, and it is empty when all of them have ended."""
    ends = [book.complete, book.bury, book.release, book.retry]
    jobs = [book.held(f"w1/{number}") for number in range(5)]
    book.held("w2/1")
    assert sorted(book.expired("w1")) == sorted(jobs)
    for number, end in enumerate(ends):
        assert end(jobs[number], f"w1/{number}")
        assert sorted(book.expired("w1")) == sorted(jobs[number + 1 :])
    assert book.cancel(jobs[4], fence="w1/4") == "done"
    assert not book.client.exists(book.keys.held("w1"))


def test_metrics_are_a_queue_in_numbers(book: Book) -> None:
    """Every job is counted where it is."""
    assert book.metrics().oldest_age is None
    oldest = book.ready()
    book.ready()
    book.age(oldest, HOUR)
    book.scheduled()
    book.held("w1/1")
    book.retry(book.held("w1/2"), "w1/2", delay=HOUR)
    book.dead()
    book.complete(book.held("w1/3"), "w1/3", event=OutgoingEvent("e", "{}"))
    book.cancel(book.ready())
    book.ledger.pause("orders", "tea")

    found = book.metrics()

    assert (found.pending, found.scheduled, found.inflight, found.dead_letter) == (4, 2, 1, 1)
    assert (found.retries, found.completed, found.cancelled, found.outbox) == (1, 1, 1, 1)
    assert found.paused == "tea"
    assert found.oldest_age is not None
    assert 0 <= found.oldest_age - HOUR.total_seconds() < 60


def test_leases_are_listed_soonest_to_expire_first(book: Book) -> None:
    """With who holds them."""
    first, second = book.held("w1/1"), book.held("w2/1")
    book.age(second, HOUR / 2)
    leases = reading.leases(book.ledger, "orders", 10)
    assert [(lease.job_id, lease.lease_id, lease.worker) for lease in leases] == [
        (second, "w2/1", "w2"),
        (first, "w1/1", "w1"),
    ]
    assert all(abs(e.lease_expires_at - e.leased_at - HOUR) < SECOND for e in leases)
    assert len(reading.leases(book.ledger, "orders", 1)) == 1
    assert reading.leases(book.ledger, "orders", 0) == []


def test_a_job_that_was_not_published_is_offered_at_once(book: Book) -> None:
    """However short ago it was stored; one that is no longer ready is left alone."""
    stranded, held = book.ready(), book.held("w1/9")
    book.ledger.unpublished("orders", [stranded, held])
    assert [offer.job_id for offer in book.ledger.take_urgent("orders", 10)] == [stranded]
    assert book.ledger.take_urgent("orders", 10) == []


def test_a_job_that_a_pause_refused_is_offered_at_once_after_it(book: Book) -> None:
    """Its message was taken by the refusal."""
    job_id = book.ready()
    book.ledger.pause("orders", "tea")
    book.claim(job_id)
    assert book.ledger.take_urgent("orders", 10) == []
    book.ledger.resume("orders")
    assert [offer.job_id for offer in book.ledger.take_urgent("orders", 10)] == [job_id]
