"""Beat's figures: the lag of a thousand occurrences in one second beside RedBeat's own, and scale.

``python -m benchmarks.schedules [--due N] [--stored N] [--burst N]``. Each on a Redis of the
benchmark's own. A lag is from the occurrence to the moment at which a consumer has its message.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis
from celery import Celery
from kombu import Connection, Exchange, Queue

from purista_celery.compiler.configuration import base_app
from purista_celery.contracts.schedule import Cron, Schedule
from purista_celery.endpoints import resolve
from purista_celery.exports.manifest import read_manifest, write_entry
from purista_celery.redis_client import ThreadClient
from purista_celery.schedules.foreign import foreign_outlet
from purista_celery.schedules.group import plan
from purista_celery.schedules.host import GroupHost
from purista_celery.settings import Settings
from tests.support.servers import RedisServer
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[1]
MINUTE = 60.0
#: Seconds before the minute by which a beat must have started.
READY = 12.0


def schedules(count: int, cron: str | None = None) -> list[Schedule]:
    """Return schedules of ten thousand different times, or all of ``cron``."""
    return [
        Schedule(
            name=f"tick{n}",
            expression=Cron(
                cron or f"{n % 60} {n // 60 % 24} * * {n // 1440 % 7}", timezone="Europe/Berlin"
            ),
            target_kind="event",
            target_name="bench.ticked",
            service_name="bench",
            service_version="1",
        )
        for n in range(count)
    ]


def manifest_of(found: list[Schedule]) -> dict[str, Any]:
    return {"version": "1", "schedules": [write_entry(schedule) for schedule in found]}


@contextmanager
def beat(module: str, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``celery beat``."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", module, "beat", "-l", "INFO"],
            cwd=log.parent,
            env={
                **os.environ,
                **environment,
                "PYTHONPATH": str(ROOT),
                "PYTHONWARNINGS": "ignore",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def lags(client: redis.Redis, key: str, count: int, minute: float) -> list[float]:
    """Return the lag of each message that arrives in list ``key`` after ``minute``, sorted."""
    found = []
    while len(found) < count:
        assert time.time() < minute + 60, f"only {len(found)} of {count} arrived"
        answer: Any = client.brpop([key], timeout=1)
        if answer and time.time() >= minute:
            found.append(time.time() - minute)
    return sorted(found)


def next_minute() -> float:
    """Return the next minute that leaves a beat time to start."""
    return ((time.time() + READY) // MINUTE + 1) * MINUTE


def lag_of_ours(count: int) -> list[float]:
    server = RedisServer().start()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.json"
        path.write_text(json.dumps(manifest_of(schedules(count, "* * * * *"))))
        log = Path(folder) / "beat.log"
        try:
            options = {"global_keyprefix": "bench:"}
            with Connection(server.url, transport_options=options) as connection:
                exchange = Exchange("bench.events", type="topic", durable=True)
                Queue("inbox", exchange, routing_key="#")(connection.default_channel).declare()
            environment = {
                "PURISTA_BROKER_URL": server.url,
                "PURISTA_NAMESPACE": "bench",
                "PURISTA_SCHEDULE_MANIFEST": str(path),
            }
            minute = next_minute()
            with beat("purista_celery.beat", log, **environment), server.client() as client:
                until(lambda: "leads group" in log.read_text(), "beat leads", 60)
                return lags(client, "bench:inbox", count, minute)
        finally:
            server.close()


def lag_of_redbeat(count: int) -> list[float]:
    server = RedisServer().start()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "beat.log"
        environment = {"BENCH_REDIS": server.url, "BENCH_SCHEDULES": str(count)}
        try:
            minute = next_minute()
            with beat("benchmarks.redbeat", log, **environment), server.client() as client:
                until(lambda: client.zcard("redbeat::schedule") >= count, "beat has synced", 60)
                return lags(client, "celery", count, minute)
        finally:
            server.close()


def scale(stored: int, burst: int) -> None:
    """Print the figures of one beat with ``stored`` schedules, ``burst`` of them due at once."""
    server = RedisServer().start()
    now = [datetime(2026, 5, 1, 11, 59, 30, tzinfo=UTC)]
    try:
        settings = Settings(broker_url=server.url, namespace="bench")
        app = base_app(Celery, "bench", settings, resolve(settings))
        busy = schedules(burst, "0 14 * * *")
        rest = schedules(stored)[burst:]
        document = json.loads(json.dumps(manifest_of(busy + rest)))
        with ThreadClient.from_url(server.url, decode_responses=True) as client:

            def host() -> GroupHost:
                (group,) = plan("bench", read_manifest(document)).groups
                return GroupHost(
                    group,
                    client,
                    foreign_outlet(app, client, "bench", "bench"),
                    interval=timedelta(seconds=1),
                    # The clock here stands still, so nothing would renew a lock in time.
                    lock_length=timedelta(minutes=5),
                    clock=lambda: now[0],
                )

            for name in ("first start", "restart"):
                began = time.perf_counter()
                leader = host()
                leader.tick()
                print(f"  {name}, {stored} schedules: {time.perf_counter() - began:6.1f} s")
                if name == "first start":
                    leader.release()
            began = time.perf_counter()
            for _ in range(100):
                leader.tick()
            print(f"  idle tick: {(time.perf_counter() - began) * 10:.2f} ms")
            now[0] += timedelta(seconds=30)
            began = time.perf_counter()
            while leader.tick() == 0:
                pass
            print(f"  {burst} due in one second: {time.perf_counter() - began:.2f} s", flush=True)
    finally:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--due", type=int, default=1000)
    parser.add_argument("--stored", type=int, default=100_000)
    parser.add_argument("--burst", type=int, default=5000)
    options = parser.parse_args()
    scale(options.stored, options.burst)
    for name, measure in (("ours", lag_of_ours), ("RedBeat", lag_of_redbeat)):
        found = measure(options.due)
        p50, p99 = found[len(found) // 2], found[len(found) * 99 // 100]
        print(
            f"  lag of {options.due} due in one second, {name:8} p50 {p50:5.2f} s   "
            f"p99 {p99:5.2f} s   max {found[-1]:5.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
