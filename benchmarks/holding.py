"""A job that says when it began, and runs until it is let go."""

from __future__ import annotations

import os
import time
from pathlib import Path


def hold(job: str) -> None:
    """Trace the start of ``job``, and wait for a file of its name beside the trace."""
    trace = Path(os.environ["BENCH_TRACE"])
    with trace.open("a") as lines:
        lines.write(f"{time.time()} {job}\n")
    until = time.monotonic() + 300
    while not trace.with_name(job).exists() and time.monotonic() < until:
        time.sleep(0.05)
