"""What keeps the promise when nobody is looking: rescuer, stager and relay, look by look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from purista_celery.errors import BrokerUnavailable
from purista_celery.ledger.keys import heard_key
from purista_celery.ledger.records import Offer, OutgoingEvent
from purista_celery.messages.job import JobMessage
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime.relay import Relay
from purista_celery.runtime.rescuer import Rescuer
from purista_celery.runtime.results import ResultEventsOf
from purista_celery.runtime.stager import Stager
from tests.integration.runtime.main_process import Main


def rescuer_of(main: Main) -> tuple[Rescuer, list[ResultEventsOf], list[str]]:
    """Return a rescuer, and what it hands on."""
    results: list[ResultEventsOf] = []
    woken: list[str] = []
    return Rescuer(main.runtime, results.append, lambda: woken.append("")), results, woken


def test_a_dead_workers_job_is_offered_by_the_stager(main: Main) -> None:
    """The rescuer speaks to the ledger alone; a living worker's job is left to it."""
    lost, kept = main.enqueue(), main.enqueue()
    main.held_by("dead", lost)
    main.held_by("alive", kept)
    main.heard("dead")
    rescuer, _, woken = rescuer_of(main)

    assert rescuer.look() is False

    assert (main.state_of(lost), main.state_of(kept)) == ("ready", "leased")
    assert woken == [""]
    [offer] = main.ledger.take_urgent("desk.call", 10)
    assert (offer.job_id, offer.attempt) == (lost.id, 1)


def test_in_doubt_nothing_is_taken_from_anybody(main: Main) -> None:
    """After a gap in what was heard, leases may have passed for want of an answer."""
    job = main.enqueue()
    main.held_by("silent", job)
    main.heard("silent")
    now = main.ledger.workers.now_ms()
    main.ledger.client.hset(heard_key(main.settings.namespace), "since", now + 1)
    main.ledger.client.hset(main.ledger.keys("desk.call").job(job.id), "leaseExpiresAt", 1)
    main.ledger.client.zadd(main.ledger.keys("desk.call").leased, {job.id: 1})
    rescuer, _, _ = rescuer_of(main)
    rescuer.look()
    assert main.state_of(job) == "leased"
    main.heard("silent")
    rescuer.look()
    assert main.state_of(job) == "ready"


def test_nobody_takes_himself_for_dead(main: Main) -> None:
    """Who looks lives, however late its announcement is."""
    me, job = main.runtime.fences.worker_id, main.enqueue()
    main.held_by(me, job)
    main.heard(me)
    rescuer, _, _ = rescuer_of(main)
    rescuer.look()
    assert main.state_of(job) == "leased"


def test_the_last_attempt_of_a_dead_worker_is_a_dead_letter_that_is_announced(main: Main) -> None:
    """Its result event is handed on, and waits in the outbox until it is published."""
    job = main.enqueue(max_attempts=1)
    main.held_by("dead", job)
    main.heard("dead")
    rescuer, results, woken = rescuer_of(main)
    rescuer.look()
    assert main.state_of(job) == "dead"
    assert woken == []
    [handed] = results
    assert [event.id for event in handed.events] == [f"{job.id}:dead-lettered"]
    assert main.app.purista.metrics("desk.call").outbox == 1


@pytest.mark.parametrize("held", [True, False])
def test_an_unreadable_record_becomes_a_dead_letter(main: Main, held: bool) -> None:  # noqa: FBT001
    """And holds up nobody; it would be looked at for ever."""
    broken, well = main.enqueue(), main.enqueue()
    for job in (broken, well):
        if held:
            main.held_by("dead", job)
        else:
            main.ledger.unpublished("desk.call", [job.id])
    main.ledger.client.hset(main.ledger.keys("desk.call").job(broken.id), "message", "{")
    main.heard("dead")
    if held:
        rescuer_of(main)[0].look()
    else:
        stager = Stager(main.runtime)
        stager.look()
        stager.close()
    assert (main.state_of(broken), main.state_of(well)) == ("dead", "ready")
    [letter] = main.app.purista.dead_letters("desk.call").list()
    assert (letter.job_id, letter.reason) == (broken.id, "undecodable")


def messages(main: Main, queue: str = "desk.call") -> int:
    """Return how many messages wait in the broker."""
    name = main.runtime.wiring.queue(queue).broker_name
    with main.app.connection_for_write() as connection, connection.channel() as channel:
        return int(channel.queue_declare(name, passive=True).message_count)


def test_messages_of_a_queue_that_nobody_serves_do_not_multiply(main: Main) -> None:
    """However long they wait: a job is offered again only where a message can be missing."""
    jobs = [main.app.purista.enqueue(main.call, n).job_id for n in range(15)]
    stager = Stager(main.runtime)
    for _ in range(5):
        for job_id in jobs:
            score = {job_id: -3_600_000}
            main.ledger.client.zadd(main.ledger.keys("desk.call").ready, score, incr=True)
        stager.look()
    assert messages(main) == 15
    with main.app.connection_for_write() as connection, connection.channel() as channel:
        channel.basic_get(main.runtime.wiring.queue("desk.call").broker_name, no_ack=True)
        channel.basic_get(main.runtime.wiring.queue("desk.call").broker_name, no_ack=True)
    for job_id in jobs:
        main.ledger.client.zadd(
            main.ledger.keys("desk.call").ready, {job_id: -3_600_000}, incr=True
        )
    stager.look()
    stager.close()
    assert messages(main) == 15


def failing(main: Main, monkeypatch: pytest.MonkeyPatch, queue: str) -> list[str]:
    """Let the broker refuse the messages of one queue; return the jobs that it takes."""
    taken: list[str] = []

    def offer(to: JobQueue, job: Offer, producer: Any) -> None:
        if to.name == queue:
            raise OperationalError("no such queue")
        taken.append(job.job_id)

    monkeypatch.setattr(main.runtime.producer, "offer", offer)
    return taken


@pytest.mark.parametrize("refused", ["desk.call", "desk.mail"])
def test_a_queue_that_the_broker_refuses_does_not_starve_the_others(
    main: Main, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """A refusal ends the look; the next one begins elsewhere, and what was refused waits."""
    jobs = {queue: main.enqueue(queue) for queue in ("desk.call", "desk.mail")}
    for queue, job in jobs.items():
        main.ledger.unpublished(queue, [job.id])
    taken = failing(main, monkeypatch, refused)
    stager = Stager(main.runtime)
    for _ in range(2):
        stager._trouble.tell(stager.look)
    stager.close()
    other = "desk.mail" if refused == "desk.call" else "desk.call"
    assert taken == [jobs[other].id]
    waiting = [offer.job_id for offer in main.ledger.take_urgent(refused, 10)]
    assert waiting == [jobs[refused].id]


def in_outbox(main: Main, job: JobMessage, *, old: bool = True) -> str:
    """Let a dead letter's result event wait in the outbox."""
    held = main.held_by("w", job)
    event = OutgoingEvent(f"{job.id}:dead-lettered", "")
    assert main.ledger.bury(
        job.queue_name,
        job.id,
        held.fence,
        reason="r",
        keep_key=held.queue.longest_hold,
        events=[event],
    )
    if old:
        key = main.ledger.keys(job.queue_name).outbox_times
        main.ledger.client.zadd(key, {event.id: 1})
    return event.id


def publishing(
    main: Main, monkeypatch: pytest.MonkeyPatch, publish: Callable[[], None]
) -> list[str]:
    """Let the broker do ``publish`` with each event; return the ids of those it was given."""
    given: list[str] = []

    def each(event: Any, producer: Any, *, required: bool) -> None:
        given.append(event.id)
        publish()

    monkeypatch.setattr(main.runtime.publisher, "publish", each)
    monkeypatch.setattr("purista_celery.runtime.relay.made", _made)
    return given


def _made(runtime: Any, queue: JobQueue, event: OutgoingEvent) -> tuple[OutgoingEvent, ...]:
    from purista_celery.producer.events import new_event

    envelope = new_event(
        "desk.lost", sender=runtime.wiring.sender("desk", "1", queue.name), event_id=event.id
    )
    return (OutgoingEvent(event.id, envelope.to_json()),)


def test_the_relay_stops_at_the_first_refusal(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would take as long to be refused; what was not published waits in the outbox."""
    for _ in range(20):
        in_outbox(main, main.enqueue())

    def refuse() -> None:
        raise BrokerUnavailable("away")

    given = publishing(main, monkeypatch, refuse)
    relay = Relay(main.runtime)
    assert relay._trouble.tell(relay.look) is False
    relay.close()
    assert len(given) == 1
    assert main.app.purista.metrics("desk.call").outbox == 20


def test_the_relay_clears_what_it_has_published(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves to whoever settled what is fresh."""
    old = in_outbox(main, main.enqueue())
    in_outbox(main, main.enqueue(), old=False)
    given = publishing(main, monkeypatch, lambda: None)
    relay = Relay(main.runtime)
    relay.look()
    relay.close()
    assert given == [old]
    assert main.app.purista.metrics("desk.call").outbox == 1
