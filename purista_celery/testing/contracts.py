"""The services that the cases are tried with: what a job does is in its payload."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel

from purista_celery.contracts.event import Event
from purista_celery.contracts.job import Job
from purista_celery.contracts.lifecycle import Lifecycle, RetryStrategy
from purista_celery.contracts.queue import Queue
from purista_celery.contracts.receipt import Enqueue
from purista_celery.contracts.results import ResultEvents
from purista_celery.contracts.service import Service
from purista_celery.messages.envelope import EventMessage

#: Short, so that a lost lease is recovered within a case's patience.
LEASE = timedelta(seconds=2)
RETRY_DELAY = timedelta(milliseconds=150)
MAX_ATTEMPTS = 2
_LIFECYCLE = Lifecycle(
    visibility_timeout=LEASE,
    heartbeat_interval=LEASE / 4,
    max_lease_extensions=100,
    max_attempts=MAX_ATTEMPTS,
    retry_strategy=RetryStrategy(initial_delay=RETRY_DELAY, jitter_factor=0),
)


class Work(BaseModel):
    """What a job is to do."""

    mode: Literal["ok", "fail", "bury", "bury once", "hold"] = "ok"
    n: int = 0


WorkQueue = Queue[Work, None, Work]


@dataclass
class Notes:
    """What handlers saw, in order; they run in threads of this process."""

    runs: list[tuple[str, int, float]] = field(default_factory=list)
    heard: list[tuple[str, EventMessage[Any]]] = field(default_factory=list)
    #: Jobs that hold return when it is set.
    released: threading.Event = field(default_factory=threading.Event)

    def runs_of(self, job_id: str) -> list[float]:
        """Return when (by the monotonic clock) the attempts at a job began."""
        return [at for job, _, at in list(self.runs) if job == job_id]

    def heard_by(self, subscription: str, event_id: str) -> list[EventMessage[Any]]:
        """Return the events of that id that a subscription was given."""
        return [e for name, e in list(self.heard) if name == subscription and e.id == event_id]


@dataclass(frozen=True)
class Contracts:
    """The declared contracts. Each case has a queue of its own, so that its numbers are its own."""

    services: tuple[Service, ...]
    queues: dict[str, WorkQueue]
    placed: Event[Work]
    shipped: Event[Work]
    other: Event[Work]
    ticked: Event[None]
    #: Two services hand it to one queue.
    shared: Event[Work]


#: Queues whose results are published: as required, and as best effort.
REQUIRED, BEST_EFFORT = "required", "bestEffort"


def contracts(notes: Notes, queues: tuple[str, ...]) -> Contracts:
    """Declare services whose handlers write to ``notes``."""
    shop, listener = Service("conformance"), Service("conformanceListener")
    declared = {name: _queue(shop, name) for name in (*queues, REQUIRED, BEST_EFFORT)}
    for queue in declared.values():
        queue.worker()(_worker(notes))
    made = Contracts(
        services=(shop, listener),
        queues=declared,
        placed=shop.event("conformance.orders.placed", payload=Work),
        shipped=shop.event("conformance.orders.shipped", payload=Work),
        other=shop.event("conformance.other.happened", payload=Work),
        ticked=shop.event("conformance.clock.ticked"),
        shared=shop.event("conformance.shared.happened", payload=Work),
    )
    for number, service in enumerate((shop, listener)):
        service.bind(made.shared, to=declared["bound"])(_mapping(number))
    listener.subscribe(made.placed, name="exact")(_listener(notes, "exact"))
    listener.subscribe(made.ticked, name="clock")(_listener(notes, "clock"))
    for name, pattern in (("word", "conformance.orders.*"), ("all", "conformance.#")):
        listener.subscribe(pattern, name=name)(_listener(notes, name))
    for name in (REQUIRED, BEST_EFFORT):
        listener.subscribe(declared[name].results.success, name=name)(_listener(notes, name))
    return made


def _mapping(number: int) -> Callable[[EventMessage[Work]], list[Enqueue[Work, None]]]:
    def jobs(event: EventMessage[Work]) -> list[Enqueue[Work, None]]:
        return [Enqueue(Work(n=10 * event.payload.n + number)) for _ in range(2)]

    return jobs


def _queue(service: Service, name: str) -> WorkQueue:
    results = None
    if name in (REQUIRED, BEST_EFFORT):
        delivery: Literal["required", "best-effort"] = (
            "required" if name == REQUIRED else "best-effort"
        )
        results = ResultEvents(success=f"conformance.{name}.completed", delivery=delivery)
    return service.queue(
        f"conformance.{name}", payload=Work, output=Work, lifecycle=_LIFECYCLE, results=results
    )


def _listener(notes: Notes, name: str) -> Any:
    def hear(event: EventMessage[Any]) -> None:
        notes.heard.append((name, event))

    return hear


def _worker(notes: Notes) -> Any:
    def work(job: Job[Work, None]) -> Work:
        notes.runs.append((job.id, job.payload.n, time.monotonic()))
        match job.payload.mode:
            case "fail":
                raise ValueError("as asked")
            case "bury":
                job.dead_letter("as_asked")
            case "bury once" if len(notes.runs_of(job.id)) == 1:
                job.dead_letter("as_asked")
            case "hold":
                while not notes.released.wait(0.05):
                    job.raise_if_cancelled()
        return job.payload

    return work
