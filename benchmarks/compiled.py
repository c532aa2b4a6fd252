"""Ours: a compiled queue with the ledger, its leases and status."""

import os
from datetime import timedelta

from pydantic import BaseModel

from benchmarks.holding import hold
from purista_celery import Job, Lifecycle, Service, Settings, compile_app

service = Service("bench")


class Number(BaseModel):
    n: int


queue = service.queue("bench.noop", payload=Number, output=Number)


@queue.worker()
def noop(job: Job[Number, None]) -> Number:
    return job.payload


held = service.queue(
    "bench.held",
    payload=str,
    lifecycle=Lifecycle(
        visibility_timeout=timedelta(seconds=5),
        heartbeat_interval=timedelta(seconds=1),
        max_lease_extensions=100,
    ),
)


@held.worker()
def hold_job(job: Job[str, None]) -> None:
    hold(job.payload)


app = compile_app(
    [service],
    Settings(
        broker_url=os.environ.get("BENCH_BROKER", os.environ["BENCH_REDIS"]),
        ledger_url=os.environ["BENCH_REDIS"],
        namespace=os.environ.get("BENCH_NAMESPACE", "bench"),
    ),
)


def hold_on(job: str) -> None:
    app.purista.enqueue(held, job)


app.conf.worker_prefetch_multiplier = int(os.environ.get("BENCH_PREFETCH", "1"))
