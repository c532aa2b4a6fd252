"""``celery -A … purista``: the same operations from a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta

from tests.acceptance.spine.conftest import APP, Spine
from tests.acceptance.spine.services import work
from tests.support.processes import ROOT


def purista(spine: Spine, *arguments: str, status: int = 0) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", APP, "purista", *arguments],
        cwd=ROOT,
        env=spine.stage.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def test_an_operator_sees_cancels_pauses_and_redrives(redis_spine: Spine) -> None:
    """Each command does what its method of the client does, and prints what it did."""
    spine = redis_spine
    spine.worker("-c", "1")
    dead = spine.enqueue("dead").job_id
    spine.client.wait(dead, 20)
    waiting = spine.enqueue(delay=timedelta(hours=1)).job_id

    assert "spine.work: 1 pending, 0 in flight, 0 completed" in purista(spine, "queues")
    assert f"{dead} as asked" in purista(spine, "dead-letters", "spine.work")
    assert purista(spine, "dead-letters", "spine.work", "--redrive") == "1 redriven\n"
    spine.await_trace("start", dead, count=2)
    spine.client.wait(dead, 20)
    assert purista(spine, "dead-letters", "spine.work", "--purge") == "1 purged\n"
    assert "not both" in purista(spine, "dead-letters", "x", "--redrive", "--purge", status=2)

    assert json.loads(purista(spine, "job", waiting))["status"] == "pending"
    assert json.loads(purista(spine, "cancel", waiting))["status"] == "cancelled"

    unknown = purista(spine, "job", "nosuch", status=1)
    assert unknown.startswith("Error: [PURISTA_JOB_NOT_FOUND]")

    purista(spine, "pause", "spine.work", "--reason", "maintenance")
    assert "paused: maintenance" in purista(spine, "queues")
    purista(spine, "resume", "spine.work")
    assert spine.client.metrics(work).paused is None


def test_a_schedule_is_fired_once_per_occurrence(redis_spine: Spine) -> None:
    """The same ``--at`` is the same event, whose job runs once."""
    spine = redis_spine
    spine.worker("-c", "1")
    arguments = ("fire", "everyNight", "--at", "2026-03-01T02:00:00+00:00")

    first, second = (purista(spine, *arguments) for _ in range(2))

    assert first == second
    assert first.startswith("spine.nightFell ")
    spine.await_trace("night", first.split()[1])
    other = purista(spine, "fire", "everyNight", "--at", "2026-03-02T02:00:00+00:00")
    spine.await_trace("night", other.split()[1])
    assert len(spine.traced("night")) == 2
    assert "no ISO 8601 instant" in purista(spine, "fire", "everyNight", "--at", "soon", status=2)
