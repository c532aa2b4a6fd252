"""Holding a pool process still, so that what is decided about its job is about that very job.

A process that has ended one job begins another within a moment. Between a look at what it runs and
a signal to it, it could have gone on, and the signal would hit a job that nobody meant. So it is
stopped first, then looked at, and only then killed, or let go on. What Celery has sent to a process
that is killed, and which it has not begun, goes to another.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery.worker import state

log = logging.getLogger(__name__)

#: Seconds; a process stops at once unless the machine is very busy, or its disk hangs.
_STOPS_WITHIN = 1.0
_LOOK_EVERY = 0.001

#: Seconds after which a process of the same number is another one.
_REMEMBERED = 60.0
#: Which job each process was killed for, and when.
_killed_for: dict[int, tuple[str, float]] = {}


@dataclass
class Frozen:
    """A process that is stopped amid a job."""

    pid: int
    job_id: str
    queue: str
    is_killed: bool = field(default=False, init=False)

    def kill(self) -> None:
        """Let it end instead of going on."""
        log.warning("Ending process %s, which runs job %s of %s", self.pid, self.job_id, self.queue)
        _killed_for[self.pid] = (self.job_id, time.monotonic())
        self.is_killed = _signal(self.pid, signal.SIGKILL)


@contextmanager
def frozen(request: Any) -> Iterator[Frozen | None]:
    """Hold the process that runs ``request`` still within the block.

    Returns:
        None where the request has no process of its own, or does not run (any more).
    """
    pid = request.worker_pid
    if not has_process(request) or not _signal(pid, signal.SIGSTOP):
        yield None
        return
    process = Frozen(pid, request.id, request.name)
    try:
        # Nothing more is begun by it from here on, whatever it is sent.
        _await_stop(pid)
        yield process if request in state.active_requests and request.worker_pid == pid else None
    finally:
        if not process.is_killed:
            _signal(pid, signal.SIGCONT)


def has_process(request: Any) -> bool:
    """Tell whether a process of its own runs ``request``, and not a thread of this one."""
    running = request in state.active_requests
    return running and request.worker_pid not in (None, 0, os.getpid())


def was_meant_for_another(pid: int | None, job_id: str) -> bool:
    """Tell whether we killed process ``pid`` for another job than this one."""
    killed_for, at = _killed_for.get(pid or 0, (job_id, 0.0))
    return killed_for != job_id and time.monotonic() - at < _REMEMBERED


def _signal(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _await_stop(pid: int) -> None:
    until = time.monotonic() + _STOPS_WITHIN
    while not _is_stopped(pid):
        if time.monotonic() >= until:
            log.warning("Pool process %s does not stop at once", pid)
            return
        time.sleep(_LOOK_EVERY)


def _is_stopped(pid: int) -> bool:
    """Tell whether a process is stopped, or gone (Linux; elsewhere it is taken for granted)."""
    if sys.platform != "linux":
        return True
    with suppress(OSError):
        # "<pid> (<name, which may hold anything>) <state> ..."
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "TtZX"
    return True
