"""Stock RedBeat with as many entries a minute as BENCH_SCHEDULES says, for benchmarks/schedules."""

from __future__ import annotations

import os

from celery import Celery
from celery.schedules import crontab

url = os.environ["BENCH_REDIS"]
app = Celery("bench", broker=url)
app.conf.update(
    redbeat_redis_url=url,
    beat_scheduler="redbeat.RedBeatScheduler",
    beat_max_loop_interval=1,
    redbeat_lock_timeout=10,
    timezone="UTC",
    result_expires=None,
    task_ignore_result=True,
    beat_schedule={
        f"tick{number}": {"task": "bench.ticked", "schedule": crontab()}
        for number in range(int(os.environ["BENCH_SCHEDULES"]))
    },
)
