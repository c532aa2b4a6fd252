"""``forbid``, ``replace`` and queue targets with a real beat, real workers and an operator."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import pytest

from purista_celery import Settings, compile_app
from purista_celery.exports.manifest import schedule_manifest
from tests.acceptance.beat.conftest import Clockwork
from tests.support.processes import settings_of
from tests.support.waiting import until

APP = "tests.acceptance.beat.app"


def spans(clockwork: Clockwork, kind: str) -> list[tuple[float, float]]:
    """Return when the jobs of that kind ran, those that have ended, in order."""
    path = clockwork.stage.directory / "chores.log"
    begun: dict[str, float] = {}
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        name, what, job_id, at = line.split()
        if name == kind and what == "start":
            begun[job_id] = float(at)
        elif name == kind:
            found.append((begun[job_id], float(at)))
    return sorted(found)


def test_occurrences_keep_out_of_each_others_way(
    clockwork: Clockwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Across two workers: forbidden ones never overlap, replaced ones are cut short."""
    settings_of(clockwork.stage, monkeypatch)
    from tests.acceptance.beat.app import house

    app: Any = compile_app([house], Settings.from_environment())
    path = clockwork.stage.directory / "manifest.json"
    path.write_text(json.dumps(schedule_manifest([house])))
    clockwork.stage.extra["PURISTA_SCHEDULE_MANIFEST"] = str(path)
    app.purista.pause("house.waiting")
    for _ in range(2):
        clockwork.stage.worker(APP, "-c", "4")
    clockwork.beat()

    for kind in ("forbid", "replace", "direct", "command"):
        until(
            lambda kind=kind: len(spans(clockwork, kind)) >= 3,
            f"three jobs of {kind} have run",
            timeout=40,
        )
    for kind in ("forbid", "direct", "command"):
        found = spans(clockwork, kind)
        assert all(end <= start for (_, end), (start, _) in pairwise(found))
        assert all(end - start > 2 for start, end in found)
    assert any(end - start < 2 for start, end in spans(clockwork, "replace"))
    status = {found.name: found for found in app.purista.schedules.list_status()}
    assert status["forbidding"].skipped >= 2
    assert status["direct"].skipped >= 2
    assert status["replacing"].skipped == 0

    # What is replaced is announced, whether a worker held it or nobody did.
    for name in ("house.chores.cancelled", "house.waiting.cancelled"):
        until(lambda name=name: len(clockwork.results(name)) >= 2, f"two events {name}")
        for event in clockwork.results(name):
            job = app.purista.job(event.body["payload"]["jobId"])
            assert (job.status, event.id) == ("cancelled", f"{job.job_id}:cancelled")
    assert spans(clockwork, "waiting") == []

    # An operator's pause and resume are effective at once.
    app.purista.schedules.pause("replacing", "enough")
    count = len(clockwork.heard("replacing"))
    runs = app.purista.schedules.list_status()[2].runs
    began = time.time()
    until(lambda: time.time() > began + 2.5, "two occurrences are passed over")
    assert app.purista.schedules.list_status()[2].runs == runs
    assert len(clockwork.heard("replacing")) <= count + 1
    app.purista.schedules.resume("replacing", between="all")
    until(
        lambda: len(clockwork.heard("replacing")) >= count + 3,
        "what came due in the pause is published",
        timeout=2,
    )
