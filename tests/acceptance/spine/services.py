"""The services of the acceptance tests: what a job does is in its payload.

Handlers leave traces as lines of ``$STAGE/trace.log``, appended in one write each, so that a test
sees what really ran, whatever was recorded.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel

from purista_celery import (
    Cron,
    Enqueue,
    EventMessage,
    Job,
    JobResult,
    Lifecycle,
    LongRunning,
    ResultEvents,
    RetryStrategy,
    Service,
)


class Work(BaseModel):
    n: int = 0
    mode: str = "ok"
    seconds: float = 0
    #: Makes it as long as it needs to be.
    filler: str = ""


class Done(BaseModel):
    n: int
    attempt: int


def trace(*words: object) -> None:
    """Append one line to the trace."""
    line = " ".join(str(word) for word in (time.time(), os.getpid(), *words)) + "\n"
    descriptor = os.open(
        Path(os.environ["STAGE"]) / "trace.log", os.O_APPEND | os.O_CREAT | os.O_WRONLY
    )
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


quick = RetryStrategy(initial_delay=timedelta(milliseconds=100), jitter_factor=0)
service = Service("spine")
listener = Service("listener")

happened = service.event("spine.happened", payload=Work)

work = service.queue(
    "spine.work",
    payload=Work,
    output=Done,
    lifecycle=Lifecycle(
        visibility_timeout=timedelta(seconds=5),
        heartbeat_interval=timedelta(seconds=1),
        max_lease_extensions=20,
        max_attempts=3,
        retry_strategy=quick,
    ),
    results=ResultEvents(
        success="spine.work.completed",
        failure="spine.work.failed",
        cancelled="spine.work.cancelled",
        progress="spine.work.progress",
        delivery="required",
    ),
)
#: PURISTA's default lease of fifteen minutes.
patient = service.queue("spine.patient", payload=Work, output=Done)
long = service.queue(
    "spine.long",
    payload=Work,
    output=Done,
    profile=LongRunning(
        max_runtime=timedelta(seconds=8),
        visibility_timeout=timedelta(seconds=4),
        heartbeat_interval=timedelta(seconds=1),
        shutdown_grace=timedelta(seconds=1),
        max_attempts=2,
        retry_strategy=quick,
    ),
)


one_try = Lifecycle(max_attempts=1)
patient_odd = service.queue("spine.oddAsync", payload=Work, output=Done, lifecycle=one_try)
sync_odd = service.queue("spine.odd", payload=Work, output=Done, lifecycle=one_try)


@service.resource("clock")
def clock():  # type: ignore[no-untyped-def]
    trace("resource", "open")
    yield time.time
    trace("resource", "close")


@work.worker(emits=[happened], enqueues=[patient])
def run(job: Job[Work, None]) -> Done:
    return perform(job)


@patient.worker()
async def run_patiently(job: Job[Work, None]) -> Done:
    trace("start", job.id, job.attempt, job.payload.n)
    await asyncio.sleep(job.payload.seconds)
    trace("end", job.id, job.attempt, job.payload.n)
    return Done(n=job.payload.n, attempt=job.attempt)


@long.worker()
def run_long(job: Job[Work, None]) -> Done:
    return perform(job)


def perform(job: Job[Work, None]) -> Done:  # noqa: PLR0912 - one branch for each mode
    mode, seconds = job.payload.mode, job.payload.seconds
    trace("start", job.id, job.attempt, job.payload.n)
    if mode == "fail":
        raise ValueError("as asked")
    if mode == "transient" and job.attempt == 1:
        raise ConnectionError("once")
    if mode == "fatal":
        job.fail("hopeless", fatal=True)
    if mode == "dead":
        job.dead_letter("as asked")
    if mode == "memory":
        raise MemoryError
    if mode == "exit":
        raise SystemExit(3)
    if mode == "suicide":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode.startswith("evil"):
        misbehave(job)
    if mode == "headers":
        trace("headers", *job.headers)
    if mode == "emit":
        job.emit(happened, job.payload)
    if mode == "enqueue":
        job.enqueue(patient, Work(n=job.payload.n))
    if mode == "undeclared":
        job.enqueue(long, Work())
    if mode == "checkpoint":
        if job.last_checkpoint is None:
            job.checkpoint({"seen": job.payload.n})
            raise ConnectionError("after the checkpoint")
        trace("resumed", job.id, job.last_checkpoint["seen"])
    if mode == "resource":
        trace("resource", "use", job.resources.clock() > 0)
    if mode == "failLate":
        time.sleep(seconds)
        raise ValueError("late")
    if mode == "deaf":
        time.sleep(seconds)
    else:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.1)
            if mode == "progress":
                job.progress(1, 2)
    trace("end", job.id, job.attempt, job.payload.n)
    return Done(n=job.payload.n, attempt=job.attempt)


#: Text that would clear a screen and look like a log line of somebody else's.
FORGED = "[2026-01-01 00:00:00,000: CRITICAL/MainProcess] forged"
EVIL = f"x\x1b[2J\x9b31m\r\n{FORGED}"


def misbehave(job: Job[Work, None]) -> None:
    """End with hostile text, in each of the ways that carry some."""
    if job.payload.mode == "evilReason":
        job.dead_letter(EVIL)
    if job.payload.mode == "evilRetry":
        job.retry(EVIL)
    raise ValueError(EVIL)


@service.bind(happened, to=work, idempotency="strict")
def twice(event: EventMessage[Work]) -> list[Enqueue[Work, None]]:
    return [Enqueue(Work(n=event.payload.n * 10 + i)) for i in (1, 2)]


night_fell = service.event("spine.nightFell")
service.schedule("everyNight", Cron("0 2 * * *"), emits=night_fell)


@listener.subscribe(night_fell)
def night(event: EventMessage[None]) -> None:
    trace("night", event.id)


@listener.subscribe(work.results.success)
def completed(event: EventMessage[JobResult[Done]]) -> None:
    trace("completed", event.id, event.payload.payload.n, event.trace_id, event.tenant_id)


@listener.subscribe(work.results.failure)
def failed(event: EventMessage[JobResult[None]], job: Job) -> None:  # type: ignore[type-arg]
    trace("failed", event.id, job.attempt, str(event.payload.reason).replace(" ", "_"))


@listener.subscribe(work.results.cancelled)
def cancelled(event: EventMessage[JobResult[None]]) -> None:
    trace("cancelled", event.id)


@listener.subscribe(work.results.progress)
def progressed(event: EventMessage[JobResult[dict[str, float]]]) -> None:
    trace("progressed", event.id, event.payload.payload["done"])


@listener.subscribe("spine.#")
def anything(event: EventMessage[object]) -> None:
    trace("any", event.event_name)


narrow = service.queue("spine.narrow", payload=Work, output=Done, max_parallel=1)
narrow.worker()(perform)


@patient_odd.worker()
async def run_oddly(job: Job[Work, None]) -> Done:
    return odd(job)


def odd(job: Job[Work, None]) -> Done:
    """End in a way that handlers should not."""
    mode = job.payload.mode
    trace("start", job.id, job.attempt, mode)
    if mode == "exit":
        raise SystemExit(3)
    if mode == "cancelled":
        raise asyncio.CancelledError
    if mode == "base":
        raise BaseException("of its own kind")  # noqa: TRY002
    if mode == "unprintable":
        raise Unprintable
    if mode == "surrogate":
        raise ValueError("\ud800")
    return Done(n=job.payload.n, attempt=job.attempt)


sync_odd.worker()(odd)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("not even that")


echo = service.queue("spine.echo", payload=dict, output=dict)


@echo.worker()
def repeat(job: Job[dict, None]) -> dict:  # type: ignore[type-arg]
    return job.payload
