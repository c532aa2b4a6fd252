"""Producers that race: ``python -m tests.acceptance.faults.producer KEY PROCESSES THREADS``.

Each process enqueues with one idempotency key from all of its threads, all of them at once, and
prints the id of the job that each receipt is of. Their points are those of the workers.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier

from tests.acceptance.faults import points
from tests.acceptance.faults.app import app
from tests.acceptance.spine.services import Work, work


def produce(key: str, threads: int, start: Barrier) -> None:
    """Be one of the processes."""
    points.MAIN = os.getpid()
    together = threading.Barrier(threads, start.wait)

    def enqueue(_: int) -> str:
        together.wait()
        return app.purista.enqueue(work, Work(), idempotency_key=key).job_id

    with ThreadPoolExecutor(threads) as pool:
        # One write, so that those of several processes do not run into each other.
        os.write(1, f"{' '.join(pool.map(enqueue, range(threads)))}\n".encode())


def main(key: str, processes: int, threads: int) -> None:
    """Fork them from one that has imported everything, and connected to nothing."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(processes)
    racing = [context.Process(target=produce, args=(key, threads, start)) for _ in range(processes)]
    for process in racing:
        process.start()
    for process in racing:
        process.join()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
