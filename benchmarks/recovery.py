"""How soon a killed worker's job runs elsewhere: ours beside bare Celery, in one run.

``python -m benchmarks.recovery [--rounds N] [--broker redis|rabbitmq]``. Each round kills a whole
worker (SIGKILL) in the middle of a job while another stands by. The lease is 5 s: ours is the
contract's, bare Celery's is Redis' ``visibility_timeout``; on RabbitMQ both are the connection.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from tests.support.servers import AMQP_URL, RedisServer
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[1]


def worker(module: str, name: str) -> subprocess.Popen[bytes]:
    """Start a worker with one pool process and wait until it consumes."""
    log = Path(os.environ["BENCH_TRACE"]).with_name(f"{name}.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", module, "worker", "-c", "1"),
                *("-l", "INFO", "-n", f"{name}@bench", "--without-mingle"),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    until(lambda: " ready." in log.read_text("utf-8", "replace"), "a worker is ready", 60)
    return process


def starts(job: str) -> list[float]:
    """Return when a job was begun."""
    trace = Path(os.environ["BENCH_TRACE"])
    lines = trace.read_text().splitlines() if trace.exists() else []
    return [float(line.split()[0]) for line in lines if line.endswith(job)]


def measure(peer: str, rounds: int) -> list[float]:
    """Return the seconds from each kill to the next start of the killed worker's job."""
    module = f"benchmarks.{peer}"
    hold: Callable[[str], None] = __import__(module, fromlist=["hold_on"]).hold_on
    seconds = []
    holder = worker(module, f"{peer}0")
    for number in range(1, rounds + 1):
        job = uuid.uuid4().hex
        hold(job)
        until(lambda job=job: len(starts(job)) == 1, "the job runs", 60)  # type: ignore[misc]
        standby = worker(module, f"{peer}{number}")
        killed = time.time()
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()
        until(lambda job=job: len(starts(job)) == 2, "it runs elsewhere", 120, 0.01)  # type: ignore[misc]
        seconds.append(starts(job)[1] - killed)
        Path(os.environ["BENCH_TRACE"]).with_name(job).touch()  # lets it end
        holder = standby
    os.killpg(holder.pid, signal.SIGKILL)
    holder.wait()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--broker", choices=["redis", "rabbitmq"], default="redis")
    options = parser.parse_args()
    server = RedisServer().start()
    os.environ["BENCH_REDIS"] = server.url
    os.environ["BENCH_BROKER"] = server.url if options.broker == "redis" else AMQP_URL
    os.environ["BENCH_NAMESPACE"] = f"bench{uuid.uuid4().hex[:8]}"
    os.environ["BENCH_LEASE"] = "5"
    try:
        for peer in ("compiled", "bare"):
            with tempfile.TemporaryDirectory() as folder:
                os.environ["BENCH_TRACE"] = f"{folder}/trace"
                found = sorted(measure(peer, options.rounds))
            name = "ours" if peer == "compiled" else "bare"
            print(
                f"{options.broker} {name}: median {statistics.median(found):.2f} s, "
                f"worst of {len(found)} {found[-1]:.2f} s",
                flush=True,
            )
    finally:
        server.close()


if __name__ == "__main__":
    main()
