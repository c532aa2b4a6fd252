"""``celery -A … purista``: fires schedules from outside, and writes them for other clocks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.beat.test_overlap import APP
from tests.support.processes import ROOT, Stage
from tests.support.servers import free_port


def purista(stage: Stage, app: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a command."""
    return subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", app, "purista", *arguments],
        cwd=ROOT,
        env=stage.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("arguments", "reads"),
    [
        (["schedule-manifest"], lambda text: json.loads(text)["schedules"]),
        (["crontab", "--user", "celery"], lambda text: text.count(" celery -A ")),
    ],
)
def test_the_schedules_are_exported_to_standard_output(
    redis_stage: Stage, arguments: list[str], reads: Any
) -> None:
    """Where no file is named."""
    out, err = purista(redis_stage, "workers", "export", *arguments).communicate(timeout=60)
    assert reads(out), err


def test_what_can_not_be_exported_is_said_in_a_line(redis_stage: Stage, tmp_path: Path) -> None:
    """With the code, and no traceback; a file is not begun."""
    file = tmp_path / "exported"
    to_file = ("--out", str(file))
    refused = purista(redis_stage, APP, "export", "airflow", *to_file)
    unknown = purista(redis_stage, APP, "export", "crontab", "--group", "nightly", *to_file)
    _, err = refused.communicate(timeout=60)
    assert refused.returncode == 1
    assert "PURISTA_SCHEDULER_PROVIDER_CAPABILITY_MISSING" in err
    assert "Traceback" not in err
    _, err = unknown.communicate(timeout=60)
    assert unknown.returncode == 2
    assert "No schedule is in group 'nightly'; there are default." in err
    assert not file.exists()
    written = purista(redis_stage, APP, "export", "temporal", "--task-queue", "q", *to_file)
    written.communicate(timeout=60)
    assert written.returncode == 0
    assert len(json.loads(file.read_text())) == 5


def test_fire_says_by_its_exit_status_whether_it_was_accepted(redis_stage: Stage) -> None:
    """Whoever fires from outside tries again what was not, and only that."""
    at = "--at", "2026-03-01T02:00:00Z"
    stage = redis_stage
    accepted = [purista(stage, APP, "fire", "direct", *at) for _ in range(2)]
    nobodys = purista(stage, APP, "fire", "nosuch", *at)
    vague = purista(stage, APP, "fire", "direct", "--at", "2026-03-01T02:00:00")
    stage.extra["PURISTA_BROKER_URL"] = f"redis://127.0.0.1:{free_port()}/0"
    unheard = purista(stage, APP, "fire", "replacing", *at)
    first, second = (each.communicate(timeout=60)[0] for each in accepted)
    assert [each.returncode for each in accepted] == [0, 0]
    assert first == second
    assert first.startswith("house.direct ")
    for failed, code in (
        (nobodys, "PURISTA_SCHEDULE_NOT_FOUND"),
        (vague, "PURISTA_MESSAGE_INVALID"),
        (unheard, "PURISTA_BROKER_UNAVAILABLE"),
    ):
        out, err = failed.communicate(timeout=60)
        assert (failed.returncode, out) == (1, "")
        assert err.startswith(f"Error: [{code}]"), err
