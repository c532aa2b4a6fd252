"""The contracts alone: what a producer knows that runs nothing of it."""

from __future__ import annotations

import os
from datetime import timedelta

from pydantic import BaseModel

from purista_celery import Interval, Lifecycle, ResultEvents, RetryStrategy, Service

#: Seconds between two occurrences of the schedule.
TICK = 1.0
#: What is deployed; a worker of the version before stands beside it.
NEWEST, BEFORE = "2", "1"
VERSION = os.environ.get("CHAOS_VERSION", NEWEST)
#: Seconds of the lease of ``brief`` and ``ordered``.
BRIEF = 4


class Work(BaseModel):
    mode: str = "ok"
    seconds: float = 0
    #: The event that the job was made of.
    source: str = ""
    #: Whose turn it takes on the ordered queue.
    partition: str = ""


class Done(BaseModel):
    #: The delivery whose outcome the ledger took.
    fence: str


quick = RetryStrategy(
    initial_delay=timedelta(milliseconds=200), max_delay=timedelta(seconds=1), jitter_factor=0
)
service = Service("chaos", version=VERSION)
happened = service.event("chaos.happened", payload=Work)
ticked = service.event("chaos.ticked")
service.schedule(
    "tick",
    Interval(timedelta(seconds=TICK)),
    emits=ticked,
    missed_runs="backfill",
    # All that an outage may hold up.
    max_catch_up=1000,
)

results = ResultEvents(
    success="chaos.result.completed",
    failure="chaos.result.failed",
    cancelled="chaos.result.cancelled",
    dead_letter="chaos.result.buried",
    delivery="required",
)
#: A lease that faults outlast, renewed often.
brief = service.queue(
    "chaos.brief",
    payload=Work,
    output=Done,
    lifecycle=Lifecycle(
        visibility_timeout=timedelta(seconds=BRIEF),
        heartbeat_interval=timedelta(seconds=1),
        max_lease_extensions=50,
        max_attempts=20,
        retry_strategy=quick,
    ),
    results=results,
)
#: PURISTA's lease of fifteen minutes: only the death of its worker ends it in time.
steady = service.queue(
    "chaos.steady",
    payload=Work,
    output=Done,
    lifecycle=Lifecycle(max_attempts=20, retry_strategy=quick),
)
#: One job of a partition at a time, in the order of their acceptance.
ordered = service.queue(
    "chaos.ordered",
    payload=Work,
    output=Done,
    lifecycle=brief.lifecycle,
    ordering="partition",
)


def attempts_of(work: Work) -> int | None:
    """Return how often a job is tried: what fails for good, not as often as what faults befall."""
    return 3 if work.mode == "fail" else None
