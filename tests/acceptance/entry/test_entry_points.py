"""The commands as a Celery user types them, and as README prints them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import ROOT
from tests.support.waiting import until

CELERY = [sys.executable, "-m", "celery"]


def environment(**extra: str) -> dict[str, str]:
    """Return an environment in which no PURISTA variable is set but ``extra``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PURISTA_")}
    return {**kept, "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1", **extra}


@contextmanager
def running(command: list[str], cwd: Path, log: Path, **extra: str) -> Iterator[Path]:
    """Run a process in ``cwd`` until the block ends, and then end it warmly."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment(**extra),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield log
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)
        process.wait(30)


def run(command: list[str], cwd: Path, **extra: str) -> str:
    """Run a command to its end and return what it printed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment(**extra),
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_contract_of_readme_runs_with_nothing_set(tmp_path: Path) -> None:
    """Its worker and its client share an embedded Redis; a second run finds what the first left."""
    readme = (ROOT / "README.md").read_text("utf-8")
    contract, client = re.findall(r"```python\n(.*?)```", readme, re.S)
    assert len(contract.splitlines()) <= 40
    (tmp_path / "greeting.py").write_text(contract)
    (tmp_path / "client.py").write_text(client)

    with running([*CELERY, "-A", "greeting", "worker", "-c", "1"], tmp_path, tmp_path / "1") as log:
        printed = run([sys.executable, "client.py"], tmp_path)
        until(lambda: "dear diary: Good evening, Ada" in log.read_text(), "the diary hears of it")
    assert "{'text': 'Good evening, Ada'}" in printed

    # The worker is gone and with it the server; the state is not: the key stands for the same job.
    again = run([sys.executable, "client.py"], tmp_path)
    assert again == printed


def test_worker_beat_and_commands_work_with_nothing_set(tmp_path: Path) -> None:
    """Outside the repository's folder too: state lies where the command is typed."""
    paths = {"PYTHONPATH": str(ROOT)}
    worker = [*CELERY, "-A", "workers", "worker", "-c", "1", "-l", "INFO"]
    beat = [*CELERY, "-A", "beat", "beat", "-l", "INFO"]
    # Both start the embedded server at once; they share one.
    with (
        running(worker, tmp_path, tmp_path / "worker.log", **paths) as worker_log,
        running(beat, tmp_path, tmp_path / "beat.log", **paths) as beat_log,
    ):
        until(lambda: " ready." in worker_log.read_text(), "the worker is ready", 60)
        until(lambda: "leads group billing" in beat_log.read_text(), "beat leads", 60)
        listing = run([*CELERY, "-A", "workers", "purista", "queues"], tmp_path, **paths)
        assert "billing.monthlyClosing: 0 pending" in listing
    assert (tmp_path / ".purista" / "appendonly.aof").exists()


def test_the_manifest_beside_the_beat_deployment_is_that_of_the_example(tmp_path: Path) -> None:
    """It is stale when the example's schedules change; write it anew then."""
    printed = run(
        [*CELERY, "-A", "workers", "purista", "export", "schedule-manifest"],
        tmp_path,
        PYTHONPATH=str(ROOT),
    )
    stored = (ROOT / "beat" / "schedule-manifest.json").read_text("utf-8")
    assert json.loads(printed) == json.loads(stored)


def test_documents_are_the_same_under_celery_and_without_an_app(tmp_path: Path) -> None:
    """One source of contracts, one set of commands."""
    paths = {"PYTHONPATH": str(ROOT)}
    named = ("--services", "examples.billing.services:services")
    for words in (["export", "asyncapi", "--format", "yaml"], ["graph"]):
        under_celery = run([*CELERY, "-A", "workers", "purista", *words], tmp_path, **paths)
        alone = run([sys.executable, "-m", "purista_celery", *words, *named], tmp_path, **paths)
        assert under_celery == alone


def test_what_is_wrong_with_the_settings_is_said(tmp_path: Path) -> None:
    """A code, the variable and the remedy; never a secret."""
    wrong = {
        "PURISTA_SERVICES": ("no.such.module:x", "PURISTA_CONFIGURATION_INVALID"),
        "PURISTA_BROKER_URL": ("sqs://key:s3cret@aws", "expected redis://"),
        "PURISTA_NAMESPACE": ("a b", "PURISTA_NAMESPACE"),
    }
    for variable, (value, expected) in wrong.items():
        done = subprocess.run(
            [*CELERY, "-A", "workers", "worker"],
            cwd=tmp_path,
            env=environment(PYTHONPATH=str(ROOT), **{variable: value}),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        text = done.stdout + done.stderr
        assert done.returncode != 0
        assert expected in text, text
        assert "s3cret" not in text
