"""What a pool process does when it starts and ends."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
import time
from typing import Any, ClassVar

from celery import signals
from celery.app import app_or_default

_PR_SET_PDEATHSIG = 1


#: Seconds between two looks at whether the worker is being stopped.
_LOOK_EVERY = 0.02


class _Main:
    #: The worker's main process; its children know the number from it.
    pid: ClassVar[int] = 0
    #: A byte that is not 0 once the worker is being stopped: memory that the main process shares
    #: with each child that it ever forks, and with no other worker.
    stopping: ClassVar[mmap.mmap | None] = None


@signals.worker_init.connect(weak=False, dispatch_uid="purista.know_main_process")
def know_main_process(**_: Any) -> None:
    """Write down which process the pool belongs to, before it is forked."""
    _Main.pid = os.getpid()
    _Main.stopping = mmap.mmap(-1, 1)


def begin_stopping() -> None:
    """Let the pool's processes know that the worker is being stopped (safe in signal handlers)."""
    if _Main.stopping is not None:
        _Main.stopping[0] = 1


def is_stopping(within: float = 0.0) -> bool:
    """Tell whether the worker of this process is being stopped, or will be ``within`` seconds."""
    until = time.monotonic() + within
    while _Main.stopping is not None and not _Main.stopping[0]:
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_EVERY)
    return _Main.stopping is not None


@signals.worker_process_init.connect(weak=False, dispatch_uid="purista.die_with_parent")
def die_with_parent(**_: Any) -> None:
    """Let the kernel end this process with the worker's main process (Linux).

    An orphan would go on with a job that another worker has taken over by then.
    """
    # The solo pool works in the main process, whose parent may go: a shell, a terminal.
    if sys.platform != "linux" or os.getpid() == _Main.pid:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != _Main.pid:
        # It died before the kernel was asked.
        os._exit(1)


@signals.worker_process_shutdown.connect(weak=False, dispatch_uid="purista.close_child")
def close_child(**_: Any) -> None:
    """Close the resources of a pool process."""
    close_resources(app_or_default())


def close_resources(app: Any) -> None:
    """Close the resources of this process, if ``app`` is one of ours."""
    runtime = getattr(app, "purista_runtime", None)
    for resources in runtime.resources.values() if runtime else ():
        resources.close()
