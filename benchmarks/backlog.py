"""Memory of a worker before a backlog: ours beside bare Celery, in one run.

``python -m benchmarks.backlog [--jobs N] [--seconds S]``. Ours: N delayed and N ready jobs, and a
worker that works at them for S seconds. Bare: a tenth as many delayed tasks (ETA), which its worker
takes into its memory. Each figure is by how much the whole worker, pool included, has grown since
its first hundred jobs.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import redis

from tests.support.servers import RedisServer
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[1]
MIB = 2**20


@contextmanager
def worker(module: str) -> Iterator[psutil.Process]:
    """Run a worker with two pool processes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", module, "worker", "-c", "2", "-l", "WARNING"],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield psutil.Process(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def memory(process: psutil.Process) -> int:
    """Return what a worker and its pool take, shared pages counted once (bytes)."""
    return sum(each.memory_full_info().pss for each in (process, *process.children(recursive=True)))


def growth(process: psutil.Process, before: int, seconds: float) -> float:
    """Return by how much a worker grew at the most within ``seconds`` (MiB)."""
    most, end = before, time.monotonic() + seconds
    while time.monotonic() < end:
        most = max(most, memory(process))
        time.sleep(0.5)
    return (most - before) / MIB


def ours(jobs: int, seconds: float) -> tuple[float, int]:
    """Return the growth of our worker (MiB), and how many jobs it completed meanwhile."""
    from benchmarks.compiled import Number, app, queue
    from purista_celery import Enqueue

    client = app.purista
    with worker("benchmarks.compiled") as process:
        client.enqueue_many(queue, [Enqueue(Number(n=n)) for n in range(100)])
        until(lambda: client.metrics(queue).completed == 100, "a hundred jobs", 60)
        before = memory(process)
        hour = timedelta(hours=1)
        for start in range(0, jobs, 10_000):
            batch = range(start, min(start + 10_000, jobs))
            client.enqueue_many(queue, [Enqueue(Number(n=n), delay=hour) for n in batch])
            client.enqueue_many(queue, [Enqueue(Number(n=n)) for n in batch])
        print(f"  stored: {client.metrics(queue)}", flush=True)
        return growth(process, before, seconds), client.metrics(queue).completed - 100


def bare(jobs: int, seconds: float, server: redis.Redis) -> float:
    """Return the growth of a bare worker that holds delayed tasks (MiB)."""
    from benchmarks.bare import noop

    with worker("benchmarks.bare") as process:
        for n in range(100):
            noop.apply_async((n,))
        until(lambda: len(server.keys("celery-task-meta-*")) >= 100, "a hundred tasks", 60)
        before = memory(process)
        for n in range(jobs):
            noop.apply_async((n,), countdown=3600)
        return growth(process, before, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    server = RedisServer().start()
    os.environ["BENCH_REDIS"] = server.url
    try:
        with server.client() as client:
            grown = bare(options.jobs // 10, options.seconds, client)
            print(f"bare: {grown:.1f} MiB for {options.jobs // 10} delayed tasks", flush=True)
            client.flushall()
        grown, done = ours(options.jobs, options.seconds)
        print(
            f"ours: {grown:.1f} MiB for {options.jobs} delayed and {options.jobs} ready jobs, "
            f"{done} of them completed meanwhile"
        )
    finally:
        server.close()


if __name__ == "__main__":
    main()
