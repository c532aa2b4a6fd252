"""Jobs that take longer than their schedules' intervals, and leave a trace of when they ran."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel

from purista_celery import (
    Enqueue,
    EventMessage,
    Interval,
    Job,
    ResultEvents,
    Service,
    compile_app,
)


class Chore(BaseModel):
    """What a job does."""

    kind: str
    seconds: float = 2.2


def trace(*words: object) -> None:
    line = " ".join(str(word) for word in (*words, time.time())) + "\n"
    with (Path(os.environ["STAGE"]) / "chores.log").open("a") as file:
        file.write(line)


SECOND = Interval(timedelta(seconds=1))
house = Service("house")
forbidding = house.event("house.forbidding")
replacing = house.event("house.replacing")
counted = house.event("house.counted")
chores = house.queue(
    "house.chores", payload=Chore, results=ResultEvents(cancelled="house.chores.cancelled")
)
direct = house.queue("house.direct", payload=Chore)
counting = house.queue("house.counting", payload=Chore)
tidy = house.command("tidy", payload=Chore)
#: The test pauses it, so that its jobs wait until they are replaced.
waiting = house.queue(
    "house.waiting",
    payload=Chore,
    results=ResultEvents(cancelled="house.waiting.cancelled", delivery="required"),
)


@house.bind(forbidding, to=chores)
def one_chore(event: EventMessage[None]) -> Enqueue[Chore, None]:
    del event
    return Enqueue(Chore(kind="forbid"))


@house.bind(replacing, to=chores)
def another_chore(event: EventMessage[None]) -> Enqueue[Chore, None]:
    del event
    return Enqueue(Chore(kind="replace"))


@house.bind(counted, to=counting, idempotency="strict")
def count_one(event: EventMessage[None]) -> Enqueue[Chore, None]:
    del event
    return Enqueue(Chore(kind="counted"))


def work(job: Job[Chore, None]) -> None:
    trace(job.payload.kind, "start", job.id)
    until = time.monotonic() + job.payload.seconds
    try:
        while time.monotonic() < until:
            time.sleep(0.05)
            job.raise_if_cancelled()
    finally:
        trace(job.payload.kind, "end", job.id)


@chores.worker()
def do_chore(job: Job[Chore, None]) -> None:
    work(job)


@direct.worker()
def do_direct(job: Job[Chore, None]) -> None:
    work(job)


@tidy.handler()
def do_tidy(job: Job[Chore, None]) -> None:
    work(job)


@counting.worker()
def do_counting(job: Job[Chore, None]) -> None:
    trace("counted", "for", job.correlation_id)


@waiting.worker()
def do_waiting(job: Job[Chore, None]) -> None:
    work(job)


house.schedule("forbidding", SECOND, emits=forbidding, concurrency="forbid")
house.schedule("replacing", SECOND, emits=replacing, concurrency="replace")
house.schedule(
    "direct", SECOND, enqueues=direct, payload=Chore(kind="direct"), concurrency="forbid"
)
house.schedule(
    "waiting", SECOND, enqueues=waiting, payload=Chore(kind="waiting"), concurrency="replace"
)
house.schedule("tidying", SECOND, invokes=tidy, payload=Chore(kind="command"), concurrency="forbid")

app = compile_app([house])
