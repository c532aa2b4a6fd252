"""The peer: bare Celery with acks-late and a Redis result backend."""

import os

from celery import Celery

from benchmarks.holding import hold

broker = os.environ.get("BENCH_BROKER", os.environ["BENCH_REDIS"])
app = Celery("bare", broker=broker, backend=os.environ["BENCH_REDIS"])
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=int(os.environ.get("BENCH_PREFETCH", "1")),
    task_serializer="json",
    accept_content=["json"],
    broker_connection_retry_on_startup=True,
    task_default_queue=os.environ.get("BENCH_NAMESPACE", "bare"),
)
if broker.startswith("redis") and "BENCH_LEASE" in os.environ:
    app.conf.broker_transport_options = {"visibility_timeout": int(os.environ["BENCH_LEASE"])}


@app.task(name="bare.noop")
def noop(n: int) -> int:
    return n


@app.task(name="bare.hold")
def hold_job(job: str) -> None:
    hold(job)


def hold_on(job: str) -> None:
    hold_job.delay(job)
