"""Workers that are forked from one compiled app, as servers that load ahead do it."""

from __future__ import annotations

import os
import signal
import sys

from celery import Celery

#: What the log says of a worker that nobody ended.
ENDED = "ended by itself"


class Forks:
    """So many workers of one app, and another whenever one ends; until SIGTERM."""

    def __init__(self, app: Celery, count: int, arguments: list[str]) -> None:
        self._app = app
        self._arguments = arguments
        self._ending = False
        self._pids: dict[int, int] = {}
        # Before the first is forked: one that is to end must not be forked again.
        signal.signal(signal.SIGTERM, self._end)
        for number in range(1, count + 1):
            self._fork(number)

    def watch(self) -> int:
        """Wait until all have ended in good order; return the worst status."""
        worst = 0
        while self._pids:
            pid, status = os.wait()
            code = os.waitstatus_to_exitcode(status)
            number = self._pids.pop(pid)
            if not self._ending:
                if code != -signal.SIGKILL:
                    print(f"{ENDED}: fork {number}, status {code}", flush=True)
                self._fork(number)
            # One that does not handle its signals yet ends of the first.
            elif code != -signal.SIGTERM:
                worst = max(worst, abs(code))
        return worst

    def _fork(self, number: int) -> None:
        # A signal between the fork and the worker's own handlers must not be this class'.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            name = f"fork{number}@{os.environ['PURISTA_NAMESPACE']}"
            self._app.worker_main(["worker", "-n", name, *self._arguments])
            sys.exit(0)
        self._pids[pid] = number
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def _end(self, *_: object) -> None:
        self._ending = True
        for pid in self._pids:
            os.kill(pid, signal.SIGTERM)
