"""The demo as anybody runs it: its figures, its exit status, and that it leaves nothing running."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from tests.support.servers import require_rabbitmq
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "examples" / "billing" / "demo.py"


def environment() -> Mapping[str, str]:
    """Return an environment in which nothing of other apps is set."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PURISTA_")}


class Demo:
    """A running demo, and what it has written so far."""

    def __init__(self, *arguments: str) -> None:
        self.output = ""
        self.process = subprocess.Popen(
            [sys.executable, str(DEMO), *arguments],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read_until(self, words: str) -> None:
        """Read on until a line holds ``words``."""
        for line in self.process.stdout:
            self.output += line
            if words in line:
                return
        pytest.fail(f"The demo never wrote {words!r}:\n{self.output}")

    def end(self) -> int:
        """Read all that there is, and return the exit status."""
        self.output += self.process.stdout.read()
        return self.process.wait(30)

    def left_behind(self) -> list[str]:
        """Return the processes of the run that still run."""
        (namespace,) = set(re.findall(r"demo-[0-9a-f]{8}", self.output))
        return list(processes_of(namespace))


def processes_of(namespace: str) -> Iterator[str]:
    """Yield the processes whose environment, command or working directory names a run."""
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            traces = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if any(namespace in trace for trace in traces):
            yield f"{process.pid}: {' '.join(process.cmdline())}"


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    """The demos of a test; those that still run are ended with it."""
    demos: list[Demo] = []
    yield demos
    for demo in demos:
        demo.process.terminate()
        demo.process.wait(30)
        demo.process.stdout.close()


@pytest.mark.parametrize("broker", ["embedded", "rabbitmq"])
def test_the_month_runs_end_to_end(broker: str, tmp_path: Path, demos: list[Demo]) -> None:
    """All tenants are closed or dead letters, the money is right, and nothing is left behind."""
    report = tmp_path / "report.json"
    elsewhere = ["--broker", require_rabbitmq()] if broker == "rabbitmq" else []
    demos.append(demo := Demo("--report", str(report), *elsewhere))
    assert demo.end() == 0, demo.output

    figures = json.loads(report.read_text())
    seconds = figures.pop("seconds")
    assert figures == {
        "tenants": 48,
        "completed": 47,
        "dead": 1,
        "retried": 1,
        "invoices": 47,
        "total": "30202.32",
        "expected_total": "30202.32",
        "result_events": 48,
    }
    assert 0 < seconds < 120
    assert "Flower listens at http://127.0.0.1:" in demo.output
    assert "coral-meadow: usage.csv.gz row 12228, field quantity" in demo.output
    assert "\x1b" not in demo.output, "without a terminal there are plain lines"
    assert demo.left_behind() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(number: int, demos: list[Demo]) -> None:
    """Whoever ends the demo ends its worker, beat, Flower and Redis, too."""
    demos.append(demo := Demo())
    demo.read_until("Firing monthlyBillingCycle")
    demo.process.send_signal(number)
    assert demo.end() == 128 + number, demo.output
    assert "Traceback" not in demo.output
    assert demo.left_behind() == []


def test_a_demo_that_is_kept_is_stopped_as_it_says(demos: list[Demo]) -> None:
    """``--keep`` leaves worker, beat, Flower and Redis; killing what it names ends all of them."""
    demos.append(demo := Demo("--keep"))
    assert demo.end() == 0, demo.output
    (pids,) = re.findall(r"^ +kill ([\d ]+)$", demo.output, re.MULTILINE)
    kept = [psutil.Process(int(pid)) for pid in pids.split()]
    try:
        assert len(kept) == 3
        assert all(process.is_running() for process in kept)
        assert any("redis-server" in process for process in demo.left_behind())
    finally:
        for process in kept:
            process.terminate()
    until(lambda: demo.left_behind() == [], "all of the run has ended", 30)


def test_the_script_finds_what_is_installed() -> None:
    """Where all is installed, ``scripts/demo`` goes on at once, from any directory."""
    told = subprocess.run(
        [str(ROOT / "scripts" / "demo"), "--help"],
        env={**environment(), "PURISTA_VENV": sys.prefix},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert "--broker URL" in told.stdout
    assert "Installing" not in told.stdout
