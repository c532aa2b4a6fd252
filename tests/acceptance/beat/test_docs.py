"""``docs/schedules.md``: every command in it is run, every row of its clock table computed."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from purista_celery.contracts.schedule import Cron
from purista_celery.schedules.occurrences import occurrences
from tests.support.processes import ROOT, Stage
from tests.support.waiting import until

TEXT = (ROOT / "docs" / "schedules.md").read_text("utf-8")
ROWS = re.findall(r"^\| `(.+?)` \| (\w+/\w+) \| (2026-\d\d-\d\d) \| (.*?) ?\|$", TEXT, re.M)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


def test_the_table_of_clock_changes_has_rows() -> None:
    """A change of the page's form would let the next test pass with nothing."""
    assert len(ROWS) == TEXT.count("| 2026-") == 9


@pytest.mark.parametrize(("expression", "zone", "day", "runs"), ROWS)
def test_a_row_of_the_table_of_clock_changes(
    expression: str, zone: str, day: str, runs: str
) -> None:
    """All occurrences of that day, by the clocks there."""
    info, midnight = ZoneInfo(zone), datetime.combine(date.fromisoformat(day), time())
    start, end = (
        (midnight + timedelta(days=days)).replace(tzinfo=info).astimezone(UTC)
        - timedelta(milliseconds=1)
        for days in (0, 1)
    )
    found = occurrences(Cron(expression, timezone=zone), start, end)
    assert [moment.astimezone(info).strftime("%H:%M%z") for moment in found] == runs.split()


@pytest.fixture
def shop(redis_stage: Stage) -> Stage:
    """A directory with the page's modules, and commands on the path."""
    for block in blocks("python"):
        name, _, _ = block.removeprefix("# ").partition("\n")
        (redis_stage.directory / name).write_text(block)
    redis_stage.extra["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return redis_stage


def test_every_command_does_what_the_page_says(shop: Stage) -> None:
    """From the export of the manifest to the exports for other clocks, in the page's order."""
    exports, *lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert exports.startswith("export ")
    said: dict[str, str] = {}
    running: list[subprocess.Popen[bytes]] = []
    try:
        for line in lines:
            if re.search(r" (beat|worker)$", line):
                running.append(started(shop, exports, line))
            else:
                said[line] = run(shop, exports, line)
        operated = run(shop, exports, "python operate.py")
        fired = [text.split() for line, text in said.items() if "purista fire" in line]
        worker = shop.directory / "worker.log"
        # The latest occurrence was fired twice, and is one job.
        for _, identity in fired:
            until(lambda i=identity: worker.read_text().count(f"about {i}") == 1, identity)
    finally:
        for process in running:
            process.terminate()
            process.wait(20)
    assert [target for target, _ in fired] == ["shop.closed", "shop.closed"]
    assert fired[0][1] == operated.split()[-1]
    assert worker.read_text().count(f"about {fired[0][1]}") == 1
    assert "stocktaking week" in operated
    for name in ("schedules.json", "cronjobs.json", "purista.crontab", "temporal.json"):
        assert "closing" in (shop.directory / name).read_text()
    assert "shop/1/stock" not in (shop.directory / "purista_dags.py").read_text()


def started(stage: Stage, exports: str, line: str) -> subprocess.Popen[bytes]:
    """Run what does not end, and wait until it is at work."""
    what, sign = ("beat", "leads group nightly") if line.endswith("beat") else ("worker", " ready.")
    log = stage.directory / f"{what}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", f"{exports}\n{line.replace('celery -A', 'exec celery -A')} -l INFO"],
            cwd=stage.directory,
            env=stage.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    until(lambda: sign in log.read_text(), f"{sign!r} of {line}; see {log}")
    return process


def run(stage: Stage, exports: str, line: str) -> str:
    done = subprocess.run(
        ["bash", "-ec", f"{exports}\n{line}"],
        cwd=stage.directory,
        env=stage.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout
