"""What the spine's services lack: time limits that a handler ignores, and many who hear."""

from __future__ import annotations

import os
import time
from datetime import timedelta

from celery.exceptions import SoftTimeLimitExceeded

from purista_celery import EventMessage, Job, Lifecycle, LongRunning, Service
from tests.acceptance.spine.services import Done, Work, quick, trace

limited = Service("limited")
shop = Service("shop")
#: A service of a later deployment, which hears what an older one emits.
newcomer = Service("newcomer")


def answer(job: Job[Work, None]) -> Done:
    return Done(n=job.payload.n, attempt=job.attempt)


#: Two seconds until the soft limit, three more until the hard one.
stubborn = limited.queue(
    "limited.stubborn",
    payload=Work,
    output=Done,
    profile=LongRunning(
        max_runtime=timedelta(seconds=2),
        visibility_timeout=timedelta(seconds=2),
        heartbeat_interval=timedelta(seconds=0.5),
        shutdown_grace=timedelta(seconds=2),
        max_attempts=2,
        retry_strategy=quick,
    ),
)


@stubborn.worker()
def overrun(job: Job[Work, None]) -> Done:
    """Give in to the soft limit, or go on in spite of it."""
    trace("start", job.id, job.attempt)
    try:
        time.sleep(job.payload.seconds)
    except SoftTimeLimitExceeded:
        trace("soft", job.id, job.attempt)
        if job.payload.mode != "stubborn":
            raise
        time.sleep(60)
    return Done(n=job.payload.n, attempt=job.attempt)


#: Longer than RabbitMQ waits for an acknowledgement, unless it is asked to.
marathon = limited.queue(
    "limited.marathon",
    payload=Work,
    output=Done,
    profile=LongRunning(max_runtime=timedelta(hours=2), strict="STRICT" in os.environ),
)
marathon.worker()(answer)

#: Keys of its jobs are known for two seconds after a job has ended.
forgetful = limited.queue(
    "limited.forgetful",
    payload=Work,
    output=Done,
    lifecycle=Lifecycle(retry_window=timedelta(seconds=2)),
)


forgetful.worker()(answer)

shop_event = shop.event("shop", payload=Work)
order = shop.event("shop.order", payload=Work)
placed = shop.event("shop.order.placed", payload=Work)
added = shop.event("shop.item.added", payload=Work)
unheard = shop.event("elsewhere.unheard", payload=Work)


@shop.subscribe(placed)
def exactly(event: EventMessage[Work]) -> None:
    trace("exactly", event.event_name, event.payload.n)


@shop.subscribe("shop.*")
def one_word(event: EventMessage[object]) -> None:
    trace("one_word", event.event_name)


@shop.subscribe("shop.#")
def any_words(event: EventMessage[object]) -> None:
    trace("any_words", event.event_name)


@shop.subscribe("*.order.#")
def in_the_middle(event: EventMessage[object]) -> None:
    trace("in_the_middle", event.event_name)


@shop.subscribe("#.added")
def at_the_end(event: EventMessage[object]) -> None:
    trace("at_the_end", event.event_name)


@newcomer.subscribe(placed)
def late(event: EventMessage[Work]) -> None:
    trace("late", event.payload.n)


crowd = shop.event("crowd.came", payload=Work)


@shop.subscribe(crowd)
def slow(event: EventMessage[Work]) -> None:
    time.sleep(event.payload.seconds)
    trace("slow", event.payload.n)
