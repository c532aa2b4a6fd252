"""Jobs per second and the cost of an enqueue: a compiled queue beside bare Celery, in one run.

``python -m benchmarks.jobs [--jobs N] [--rounds R]``. Both run the same no-op on the prefork pool
with two processes, on a Redis of the benchmark's own: bare Celery with acks-late and a Redis result
backend, ours with the ledger. Rounds alternate, the figures are medians. The processor's time of a
job, of the worker's processes and Redis, varies less than the rate on a machine that others use.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil
import redis

from tests.support.servers import RedisServer
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[1]


def enqueue_bare(jobs: int) -> float:
    from benchmarks.bare import noop

    began = time.perf_counter()
    for n in range(jobs):
        noop.apply_async((n,))
    return time.perf_counter() - began


def enqueue_ours(jobs: int) -> float:
    from benchmarks.compiled import Number, app, queue

    client = app.purista
    began = time.perf_counter()
    for n in range(jobs):
        client.enqueue(queue, Number(n=n))
    return time.perf_counter() - began


def done_bare(client: redis.Redis) -> int:
    return int(client.info("keyspace").get("db0", {}).get("keys", 0))


def done_ours(client: redis.Redis) -> int:
    return int(client.hget("{bench:bench.noop}:stats", "completed") or 0)


PEERS = {
    "bare": ("benchmarks.bare", enqueue_bare, done_bare),
    "ours": ("benchmarks.compiled", enqueue_ours, done_ours),
}


def processor_time(worker: int, client: redis.Redis) -> float:
    """Return the seconds that a worker's processes and Redis have used so far."""
    parent = psutil.Process(worker)
    processes = [parent, *parent.children(recursive=True)]
    used = sum(sum(process.cpu_times()[:2]) for process in processes)
    server = client.info("cpu")
    return used + server["used_cpu_sys"] + server["used_cpu_user"]


def measure(peer: str, jobs: int, url: str, *, events: bool) -> tuple[float, float, float]:
    """Return (enqueue s per job, jobs per second while draining, processor s per job)."""
    module, enqueue, done = PEERS[peer]
    client = redis.Redis.from_url(url, decode_responses=True)
    client.flushall()
    enqueue(50)  # connections and declarations
    client.flushall()
    seconds = enqueue(jobs) / jobs
    arguments = ["-c", "2", "-l", "WARNING", "--without-gossip", "--without-mingle"]
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", module, "worker", *arguments, *(["-E"] * events)],
        cwd=ROOT,
        env={**os.environ, "BENCH_REDIS": url, "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        # From the first tenth to nine tenths: neither the start nor the last idle poll counts.
        low, high = jobs // 10, jobs * 9 // 10
        until(lambda: done(client) >= low, "the worker drains", 60, every=0.002)
        first, began, used = done(client), time.perf_counter(), processor_time(worker.pid, client)
        until(lambda: done(client) >= high, "the queue is drained", 300, every=0.01)
        drained = done(client) - first
        rate = drained / (time.perf_counter() - began)
        cost = (processor_time(worker.pid, client) - used) / drained
    finally:
        os.killpg(worker.pid, signal.SIGTERM)
        try:
            worker.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        client.close()
    return seconds, rate, cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    server = RedisServer().start()
    os.environ["BENCH_REDIS"] = server.url
    try:
        for events in (False, True):
            figures: dict[str, list[tuple[float, float, float]]] = {peer: [] for peer in PEERS}
            for _ in range(options.rounds):
                for peer in PEERS:
                    figures[peer].append(measure(peer, options.jobs, server.url, events=events))
            report(figures, events=events)
    finally:
        server.close()


def report(figures: dict[str, list[tuple[float, float, float]]], *, events: bool) -> None:
    cost, rate, used = (
        {peer: statistics.median(row[n] for row in rows) for peer, rows in figures.items()}
        for n in range(3)
    )
    print(f"worker events {'on' if events else 'off'}:")
    print(
        f"  jobs/s   bare {rate['bare']:8.0f}   ours {rate['ours']:8.0f}   "
        f"ours/bare {rate['ours'] / rate['bare']:.2f}"
    )
    print(
        f"  processor, a job  bare {used['bare'] * 1e6:5.0f} us   ours {used['ours'] * 1e6:5.0f} us"
        f"   ours/bare {used['ours'] / used['bare']:.2f}"
    )
    print(
        f"  enqueue  bare {cost['bare'] * 1e6:5.0f} us   ours {cost['ours'] * 1e6:5.0f} us   "
        f"ours/bare {cost['ours'] / cost['bare']:.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
