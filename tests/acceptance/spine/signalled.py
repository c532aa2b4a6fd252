"""Jobs that have their own processes signalled, or wait to be: ``celery -A … worker``."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import timedelta
from pathlib import Path

from purista_celery import Job, Lifecycle, LongRunning, Service, Settings, compile_app
from tests.acceptance.spine.services import Work, quick, trace

service = Service("signalled")
twice = Lifecycle(max_attempts=2, retry_strategy=quick)

plain = service.queue("signalled.plain", payload=Work, output=int, lifecycle=twice)
tasks = service.queue("signalled.tasks", payload=Work, output=int, lifecycle=twice)
#: A warm shutdown waits a second for it.
brief = service.queue(
    "signalled.brief",
    payload=Work,
    output=int,
    profile=LongRunning(max_runtime=timedelta(hours=1), shutdown_grace=timedelta(seconds=1)),
)


def begin(job: Job[Work, None]) -> float:
    """Return for how many seconds the job is to run: the second time for none."""
    trace("start", job.id, job.attempt)
    marker = Path(os.environ["STAGE"]) / f"{job.id}.begun"
    if not job.payload.mode and marker.exists():
        return 0
    marker.touch()
    if number := getattr(signal, job.payload.mode, None):
        os.kill(os.getpid(), number)
    return job.payload.seconds


@plain.worker()
@brief.worker()
def run(job: Job[Work, None]) -> int:
    until = time.monotonic() + begin(job)
    while time.monotonic() < until:
        time.sleep(0.05)
    trace("end", job.id, job.attempt)
    return job.attempt


@tasks.worker()
async def run_in_tasks(job: Job[Work, None]) -> int:
    await asyncio.sleep(begin(job))
    trace("end", job.id, job.attempt)
    return job.attempt


app = compile_app([service], Settings())
