"""Real ``celery`` processes of a test's own, ended with it, by pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Stage:
    """One test's world: a namespace on a broker and a ledger, and the processes that run in it."""

    broker_url: str
    ledger_url: str
    directory: Path
    namespace: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:10]}")
    extra: dict[str, str] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every process of this stage."""
        return {
            **os.environ,
            "PURISTA_BROKER_URL": self.broker_url,
            "PURISTA_LEDGER_URL": self.ledger_url,
            "PURISTA_NAMESPACE": self.namespace,
            "STAGE": str(self.directory),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            # As in production: warnings of Celery's own are not this test's.
            "PYTHONWARNINGS": "ignore",
            **self.extra,
        }

    def worker(self, app: str, *arguments: str, wait: bool = True, cwd: Path = ROOT) -> Worker:
        """Start ``celery -A app worker`` and wait until it consumes."""
        # Mingle, of no use to us, waits a second for replies; tests/acceptance/entry runs workers
        # as they are typed.
        options = ("-n", f"w{len(self.workers) + 1}@{self.namespace}", "--without-mingle")
        worker = self.celery(app, "worker", "-l", "INFO", *options, *arguments, cwd=cwd)
        if wait:
            worker.ready()
        return worker

    def celery(self, app: str, command: str, *arguments: str, cwd: Path = ROOT) -> Worker:
        """Start ``celery -A app command``, in a session of its own, with a log of its own."""
        return self.python(command, "celery", "-A", app, command, *arguments, cwd=cwd)

    def python(self, name: str, module: str, *arguments: str, cwd: Path = ROOT) -> Worker:
        """Start ``python -m module``, in a session of its own, with a log of its own."""
        log = self.directory / f"{name}-{len(self.workers) + 1}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=cwd,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        worker = Worker(process, log)
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        """End all processes of this stage."""
        for worker in self.workers:
            worker.kill()


@dataclass
class Worker:
    """A worker process and its pool."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def ready(self) -> None:
        """Wait until the worker consumes."""

        def probe() -> bool:
            assert self.process.poll() is None, f"the worker ended at start:\n{self.text[-4000:]}"
            return " ready." in self.text

        until(probe, lambda: f"worker ready; its log:\n{self.text[-2000:]}", timeout=60)

    def children(self) -> list[int]:
        """Return the pids of its pool."""
        try:
            return [child.pid for child in psutil.Process(self.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the whole worker, main process first."""
        for pid in (self.pid, *self.children()):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def kill(self) -> None:
        """SIGKILL the whole worker, as a lost machine would."""
        if self.process.poll() is None:
            self.signal_all(signal.SIGKILL)
        self.process.wait(20)

    def terminate(self, timeout: float = 30) -> int:
        """Shut the worker down warmly and return its exit status."""
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
        return self.ended(timeout)

    def ended(self, timeout: float = 30) -> int:
        """Wait until the worker has ended, and return its exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.pid} did not end within {timeout} s:\n{self.text[-4000:]}"
            ) from None


@contextmanager
def staged(broker_url: str, ledger_url: str, directory: Path) -> Iterator[Stage]:
    """Provide a stage, and end its processes."""
    stage = Stage(broker_url, ledger_url, directory)
    try:
        yield stage
    finally:
        stage.close()


def settings_of(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process see the stage's settings too."""
    for name, value in _purista(stage.environment).items():
        monkeypatch.setenv(name, value)


def _purista(environment: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in environment.items() if k.startswith("PURISTA_") or k == "STAGE"}
