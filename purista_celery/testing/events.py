"""Events: who hears them, when, and what survives."""

from __future__ import annotations

import base64
import uuid
from dataclasses import replace
from typing import Any

import redis
from kombu.messaging import Producer
from redis.backoff import NoBackoff
from redis.retry import Retry

from purista_celery.contracts.receipt import Receipt
from purista_celery.ledger.ledger import Ledger
from purista_celery.messages.envelope import AnyEvent, EventMessage
from purista_celery.messages.job import JobMessage
from purista_celery.producer.jobs import JobProducer
from purista_celery.runtime.router import Router
from purista_celery.testing.bench import Bench, expect
from purista_celery.testing.contracts import Work


def every_matching_subscription_hears_it_once(bench: Bench) -> None:
    """An exact name, a pattern of one word and one of all words hear an event; others do not."""
    shipped = bench.client.emit(bench.contracts.shipped, Work())
    other = bench.client.emit(bench.contracts.other, Work())
    placed = bench.client.emit(bench.contracts.placed, Work())
    # The last one is heard by all three, so the others were heard by whom they will be.
    for subscription in ("exact", "word", "all"):
        _heard(bench, subscription, placed)
    for event in (shipped, other):
        _heard(bench, "all", event)
    _heard(bench, "word", shipped)
    came = {
        name: [len(bench.notes.heard_by(name, event.id)) for event in (placed, shipped, other)]
        for name in ("exact", "word", "all")
    }
    expected = {"exact": [1, 0, 0], "word": [1, 1, 0], "all": [1, 1, 1]}
    expect(came == expected, f"{expected}", came)


def a_subscription_outlives_its_worker(bench: Bench) -> None:
    """An event that is emitted while no worker runs waits for the next one."""
    bench.stop()
    event = bench.client.emit(bench.contracts.placed, Work(n=1))
    bench.start()
    heard = _heard(bench, "exact", event)
    expect(heard.payload.n == 1, "its payload", heard.payload)


def an_event_before_the_first_worker_waits(bench: Bench) -> None:
    """An application that emits before any worker has ever run loses nothing."""
    bench.stop()
    with Bench(bench.settings, patience=bench.patience) as fresh:
        event = fresh.client.emit(fresh.contracts.placed, Work())
        fresh.start()
        _heard(fresh, "exact", event)


def an_event_is_acknowledged_after_its_job_is_stored(bench: Bench) -> None:
    """While the ledger is away the broker keeps the event, and it is heard after that."""
    bench.stop()
    event = bench.client.emit(bench.contracts.placed, Work())
    away = _AwayLedger(bench)
    producer = JobProducer(bench.app, bench.runtime.wiring, away)
    router = Router(replace(bench.runtime, producer=producer))
    router.start()
    try:
        # For whichever of its subscriptions; a pattern's key has more than the event's id.
        bench.until(
            lambda: any(event.id in key for key in [*away.asked]), "a router takes the event"
        )
    finally:
        router.stop()
    bench.start()
    _heard(bench, "exact", event)


def two_bindings_of_one_event_each_have_their_jobs(bench: Bench) -> None:
    """Two services that hand one event to one queue each get all of their jobs."""
    # Of this event alone, among all that handlers have noted.
    number = 1000 + uuid.uuid4().int % 10**9
    event = bench.client.emit(bench.contracts.shared, Work(n=number))

    def came() -> list[int]:
        return sorted(n for _, n, _ in list(bench.notes.runs) if n // 10 == number)

    expected = [10 * number, 10 * number, 10 * number + 1, 10 * number + 1]
    bench.until(lambda: came() == expected, f"the jobs of both bindings run for {event.id}")


def garbage_in_an_inbox_is_kept(bench: Bench) -> None:
    """What is no event is a dead letter of the subscription, and the next event is heard."""
    [key] = [key for key in bench.runtime.inboxes if key.endswith(".exact")]
    raw = b"5 " + uuid.uuid4().hex.encode()
    with bench.app.connection_for_write() as connection, connection.channel() as channel:
        Producer(channel).publish(
            raw,
            routing_key=bench.runtime.inboxes[key].name,
            content_type="application/json",
            content_encoding="utf-8",
        )
    letters = bench.client.dead_letters(key)
    bench.until(
        lambda: raw in [base64.b64decode(each.raw or "") for each in letters.list()],
        "it is among the subscription's dead letters, with its bytes",
    )
    _heard(bench, "exact", bench.client.emit(bench.contracts.placed, Work()))


def the_trace_travels(bench: Bench) -> None:
    """Trace, correlation, tenant and principal of an event are those of the job it becomes."""
    trace: dict[str, Any] = {
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "correlation_id": "order-1",
        "tenant_id": "tenant-1",
        "principal_id": "somebody",
    }
    event = bench.client.emit(bench.contracts.placed, Work(), **trace)
    heard = _heard(bench, "exact", event)
    came = {name: getattr(heard, name) for name in trace}
    expect(came == trace, f"{trace}", came)


def _heard(bench: Bench, subscription: str, event: AnyEvent) -> EventMessage[Any]:
    found = bench.until(
        lambda: bench.notes.heard_by(subscription, event.id),
        f"subscription {subscription!r} hears event {event.event_name!r}",
    )
    return found[0]


class _AwayLedger(Ledger):
    """A ledger that nobody answers for, and the events that were to be stored in it."""

    def __init__(self, bench: Bench) -> None:
        # Port 1 of this machine: nobody listens there, and one try is enough to know.
        nobody = redis.Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))
        super().__init__(nobody, bench.settings.namespace, bench.settings.result_ttl)
        self.asked: list[str] = []

    def enqueue(self, job: JobMessage) -> Receipt:
        self.asked.append(job.idempotency_key or "")
        return super().enqueue(job)
