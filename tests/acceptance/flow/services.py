"""Services whose queues keep order, pace and limits; handlers trace what they do."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta

from pydantic import BaseModel

from purista_celery import Job, Lifecycle, LongRunning, ResultEvents, RetryStrategy, Service
from tests.acceptance.spine.services import trace


class Step(BaseModel):
    n: int = 0
    mode: str = "ok"
    seconds: float = 0


quick = RetryStrategy(initial_delay=timedelta(milliseconds=100), jitter_factor=0)
lifecycle = Lifecycle(
    visibility_timeout=timedelta(seconds=5),
    heartbeat_interval=timedelta(seconds=1),
    max_attempts=3,
    retry_strategy=quick,
)
service = Service("flow")

by_tenant = service.queue("flow.byTenant", payload=Step, ordering="partition", lifecycle=lifecycle)
in_order = service.queue("flow.inOrder", payload=Step, ordering="fifo", lifecycle=lifecycle)
paced = service.queue("flow.paced", payload=Step, max_parallel=2, lifecycle=lifecycle)
alone = service.queue("flow.alone", payload=Step, lifecycle=lifecycle)
urgent = service.queue("flow.urgent", payload=Step, priority=3, lifecycle=lifecycle)
toxic = service.queue(
    "flow.toxic",
    payload=Step,
    lifecycle=Lifecycle(
        max_attempts=10,
        retry_strategy=quick,
        poison_message_failure_threshold=3,
        poison_message_action="pause-worker",
    ),
    results=ResultEvents(failure="flow.toxic.failed", delivery="required"),
)
deadly = service.queue("flow.deadly", payload=Step, lifecycle=lifecycle)
endless = service.queue(
    "flow.endless",
    payload=Step,
    profile=LongRunning(
        max_runtime=timedelta(seconds=2),
        visibility_timeout=timedelta(seconds=2),
        heartbeat_interval=timedelta(seconds=0.5),
        shutdown_grace=timedelta(0),
        max_attempts=2,
        retry_strategy=quick,
    ),
)


def perform(job: Job[Step, None]) -> None:
    step = job.payload
    trace("start", job.queue_name, job.id, job.attempt, step.n, job.tenant_id)
    if step.mode == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if step.mode == "memory":
        raise MemoryError("as asked")
    if step.mode == "fail" or (step.mode == "once" and job.attempt == 1):
        raise ValueError("as asked")
    if step.mode == "deaf":
        while True:  # not even the soft limit ends it
            try:
                time.sleep(1)
            except Exception as error:
                trace("deaf", job.id, type(error).__name__)
    time.sleep(step.seconds)
    trace("end", job.queue_name, job.id, job.attempt, step.n, job.tenant_id)


class Quote(BaseModel):
    total: int


quote = service.command("quote", payload=Step, output=Quote)
doubled = service.command("doubled", payload=Step, output=Quote)
nobody = service.command("nobody", output=Quote)


@quote.handler()
async def answer(job: Job[Step, None]) -> Quote:
    trace("quote", job.id, job.trace_id, job.tenant_id)
    if job.payload.mode == "fail":
        raise ValueError("no price")
    return Quote(total=job.payload.n)


@doubled.handler(invokes=[quote])
def answer_doubled(job: Job[Step, None]) -> Quote:
    return Quote(total=2 * job.invoke(quote, job.payload).total)


for queue in (by_tenant, in_order, urgent, toxic, deadly, endless):
    queue.worker()(perform)
alone.worker(mode="sequential")(perform)
paced.worker(mode="interval", interval=timedelta(seconds=1))(perform)
