"""What is news has an id of its own: consumers drop what they take for a repeat."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from celery.exceptions import WorkerShutdown

from purista_celery import Job, ResultEvents, Service, Settings, compile_app
from purista_celery.contracts.receipt import Enqueue
from purista_celery.messages.envelope import AnyEvent, Trace
from purista_celery.producer.events import new_event
from purista_celery.runtime.binding import job_key
from purista_celery.runtime.execute import Ending
from purista_celery.runtime.router import event_key
from tests.support.servers import RedisServer

LONGEST_KEY = 1024


def test_progress_after_a_redrive_or_a_return_is_news(
    runtime_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of an attempt comes again then, and no id of its events."""
    service = Service("baker")
    bread = service.queue("bread", payload=None, results=ResultEvents(progress="bread.rises"))

    @bread.worker()
    def bake(job: Job[None, None]) -> None:
        job.progress(1, 2)
        job.progress(2, 2)
        if endings:
            raise endings.pop()
        job.dead_letter("burnt")

    settings = Settings(broker_url=runtime_redis.url, namespace=f"i{uuid.uuid4().hex[:8]}")
    app = compile_app([service], settings)
    runtime, published = app.purista_runtime, []
    monkeypatch.setattr(runtime.publisher, "publish", lambda event, **_: published.append(event.id))
    message = runtime.producer.message(runtime.wiring.queue("bread"), Enqueue(None), Trace())
    runtime.ledger.enqueue(message)
    # As a pool process ends whose worker is told to stop: the job is given back.
    monkeypatch.setattr("purista_celery.runtime.process.is_stopping", lambda within: True)
    endings: list[BaseException] = [WorkerShutdown()]

    with pytest.raises(WorkerShutdown):
        runtime.executor.execute(message, "w/1")
    for fence in ("w/2", "w/3"):
        assert runtime.executor.execute(message, fence).ending is Ending.BURIED
        app.purista.dead_letters(bread).redrive(message.id)

    assert len(published) == len(set(published)) == 6
    assert all(each.startswith(f"{message.id}:progress:1.") for each in published)
    app.close()


def heard(name: str, event_id: str) -> AnyEvent:
    sender: Any = {
        "service_name": "a",
        "service_version": "1",
        "service_target": "b",
        "instance_id": "c",
    }
    return new_event(name, event_id=event_id, sender=sender)


def test_events_of_two_names_are_two_events_for_a_pattern() -> None:
    """Their emitters may have chosen the same id, such as that of an order."""
    opened, closed = heard("order.opened", "o1"), heard("order.closed", "o1")
    assert event_key("order.*", opened) != event_key("order.*", closed)
    assert event_key("order.#", opened) == event_key("order.#", heard("order.opened", "o1"))
    assert event_key("order.opened", opened) == "o1"


def test_the_longest_ids_and_names_make_a_key_that_fits() -> None:
    """An id may have 512 characters, and an event's name more than fit beside it."""
    event = heard("e" * 1024, "i" * 512)
    assert len(event_key("#", event)) <= LONGEST_KEY

    service, name = Service("s" * 180), "n" * 180
    service.bind(service.event(name), to=service.queue(name, payload=None))(lambda _: None)
    [binding] = service.bindings.values()
    assert len(job_key(binding, event.id, 10**6)) <= LONGEST_KEY
