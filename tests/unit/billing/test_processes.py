"""The demo's processes end with it, whatever they do."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from examples.billing.stage import processes as stage
from examples.billing.stage.processes import ProcessEnded, Processes
from tests.support.waiting import until

#: Ignores being asked to end, and so does its child.
DEAF = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
print("deaf", flush=True)
while True:
    time.sleep(60)
"""


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Processes:
    """Processes whose ``celery`` is a module that runs what its first argument says."""
    (tmp_path / "celery.py").write_text("import sys; exec(sys.argv[1])")
    monkeypatch.setattr(stage, "STOP_SECONDS", 0.5)
    return Processes(tmp_path, {**os.environ, "PYTHONPATH": ""}, tmp_path)


def test_a_deaf_process_is_killed_with_its_children(processes: Processes, tmp_path: Path) -> None:
    """Who does not end when asked is killed after the limit, and whatever it has forked."""
    with processes:
        processes.celery("deaf", DEAF)
        until(lambda: (tmp_path / "deaf.log").read_text().count("deaf") == 2, "both run")
        parent = psutil.Process(processes.pids[0])
        family = [parent, *parent.children()]
        assert len(family) == 2
    _, alive = psutil.wait_procs(family, 10)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


def test_an_error_ends_them_even_if_they_were_to_be_kept(processes: Processes) -> None:
    """``keep`` holds for a run that ended well."""
    processes.keep = True
    processes.celery("idle", "import signal; signal.pause()")
    (pid,) = processes.pids
    processes.__exit__(RuntimeError, RuntimeError(), None)
    assert not psutil.pid_exists(pid)


def test_a_process_that_ended_is_told_with_its_last_words(processes: Processes) -> None:
    """The error names the process, its status and what it said last."""
    with processes:
        processes.celery("beat", "print('no such manifest'); raise SystemExit(3)")
        until(lambda: not runs(processes.pids[0]), "it has ended")
        with pytest.raises(ProcessEnded, match=r"(?s)beat has ended with status 3.*no such man"):
            processes.check()


def runs(pid: int) -> bool:
    """Tell whether a child of ours runs that nobody has waited for yet."""
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
