"""Flower on loopback, as a Celery user starts it."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.processes import ROOT, Stage
from tests.support.servers import free_port
from tests.support.waiting import until


@contextmanager
def flower_of(stage: Stage, app: str) -> Iterator[str]:
    """Start Flower for ``app``, end it with the block, and provide its base URL."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "celery", "-A", app, "flower"]
    with (stage.directory / "flower.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--address=127.0.0.1", f"--port={port}"],
            cwd=ROOT,
            env={**stage.environment, "FLOWER_UNAUTHENTICATED_API": "true"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: page(f"{base}/api/tasks?limit=1"), "Flower answers", 40)
        yield base
    finally:
        process.terminate()
        process.wait(20)


def page(url: str) -> str | None:
    """Return the text of a page; None while Flower does not answer, or does not know it."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
            return str(answer.read().decode())
    except OSError:
        return None
