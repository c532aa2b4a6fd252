"""The processes of the demo: started together, ended together, whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

#: How long a process may take to finish what it does before it is killed.
STOP_SECONDS = 20
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProcessEnded(Exception):
    """A process that should be running is not."""


class Processes:
    """Processes of one run, each with a log file and a session of its own.

    A session of its own means that a Ctrl-C in the terminal reaches the demo only, which then ends
    the others in good order.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str], logs: Path) -> None:
        self._directory = directory
        self._environment = environment
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.keep = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not (self.keep and kind is None):
            self.stop()

    @property
    def pids(self) -> Sequence[int]:
        """The process ids."""
        return [process.pid for process in self._running.values()]

    def celery(self, name: str, *arguments: str) -> None:
        """Start a ``celery`` command under a name; its output goes to ``<name>.log``."""
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603  our own command, no shell
                [sys.executable, "-m", "celery", *arguments],
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check(self) -> None:
        """Check that all of them run.

        Raises:
            ProcessEnded: one does not; its last words are in the message.
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                words = self._log(name).read_text(errors="replace").splitlines()[-15:]
                raise ProcessEnded(
                    f"{name} has ended with status {process.returncode}. It said last:\n"
                    + "\n".join(words)
                )

    def stop(self) -> None:
        """End all of them: asked first, killed when they take too long. No signal interrupts it."""
        before = {number: signal.signal(number, signal.SIG_IGN) for number in _ENDINGS}
        for process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.1))
            # Too late, or gone without all that it has forked.
            _kill_group(process.pid)
            process.wait()
        self._running.clear()
        for number, handler in before.items():
            signal.signal(number, handler)

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return  # nobody left, as it should be
