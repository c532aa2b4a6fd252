"""Ordinary Flower shows the workers and the jobs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.spine.conftest import APP, Spine
from tests.support.flower import flower_of, page
from tests.support.waiting import until


@pytest.fixture
def flower(spine: Spine) -> Iterator[str]:
    with flower_of(spine.stage, APP) as base:
        yield base


def _get(url: str) -> Any:
    text = page(url)
    return None if text is None else json.loads(text)


def test_flower_shows_jobs_with_their_facts_retries_and_reasons(spine: Spine, flower: str) -> None:
    """Queue, payload, tenant and trace are in kwargs; a dead letter's reason is the exception."""
    worker = spine.worker("-c", "2")
    until(lambda: _get(f"{flower}/api/workers?refresh=1"), "Flower sees the worker", 30)
    # Flower turns the worker's events on by itself, every now and then.
    until(lambda: "enabled by remote" in worker.text, "Flower has enabled events", 30)

    good = spine.enqueue(n=11, tenant_id="acme", trace_id="4bf92f3577b34da6a3ce929d0e0e4736")
    spine.client.wait(good.job_id, 20)
    bad = spine.enqueue("fail")
    spine.client.wait(bad.job_id, 30)

    def shown(job_id: str, state: str) -> dict[str, Any] | None:
        task = _get(f"{flower}/api/task/info/{job_id}")
        return task if task and task["state"] == state else None

    completed = until(lambda: shown(good.job_id, "SUCCESS"), f"success; {worker.text}", 20)
    assert completed["name"] == "spine.work"
    for fact in ("'n': 11", "acme", "4bf92f3577b34da6a3ce929d0e0e4736", "spine.work"):
        assert fact in completed["kwargs"]
    failed = until(lambda: shown(bad.job_id, "FAILURE"), f"failure; {worker.text}", 20)
    assert "max_attempts_exceeded: ValueError: as asked" in failed["exception"]
    assert failed["retries"] == 2
    assert os.path.basename(failed["worker"] or "").startswith("w1@")
