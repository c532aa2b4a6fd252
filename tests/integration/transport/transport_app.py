"""A plain Celery app on the atomic transport, for worker processes that tests start."""

from __future__ import annotations

import os
import time

import redis
from celery import Celery

from purista_celery.transport import connection_settings

BROKER = os.environ["TRANSPORT_TEST_BROKER"]

app = Celery("transport_app")
app.conf.update(
    connection_settings(
        BROKER,
        options={"visibility_timeout": float(os.environ.get("TRANSPORT_TEST_LEASE", "3600"))},
    ),
    task_acks_late=True,
    task_ignore_result=True,
    task_default_queue="jobs",
    broker_connection_retry_on_startup=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_enable_prefetch_count_reduction=False,
)


def results() -> redis.Redis:
    """Return a client for what the jobs leave behind."""
    return redis.Redis.from_url(BROKER)


@app.task(name="transport.mark")
def mark(number: int, seconds: float = 0.0) -> None:
    """Note that job `number` ran, after so many seconds of work."""
    with results() as client:
        client.sadd("started", number)
        time.sleep(seconds)
        client.sadd("done", number)
        client.incr("runs")


@app.task(name="transport.wait")
def wait_for_release(number: int) -> None:
    """Note the start, then work until the key `release` exists."""
    with results() as client:
        client.sadd("started", number)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if client.exists("release"):
                    break
            except redis.RedisError:
                pass
            time.sleep(0.02)
        client.sadd("done", number)
        client.incr("runs")
