"""What a pool process does when it starts and ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any, ClassVar

from celery import signals
from celery.app import app_or_default

_PR_SET_PDEATHSIG = 1


class _Main:
    #: The worker's main process; its children know the number from it.
    pid: ClassVar[int] = 0


@signals.worker_init.connect(weak=False, dispatch_uid="purista.know_main_process")
def know_main_process(**_: Any) -> None:
    """Write down which process the pool belongs to."""
    _Main.pid = os.getpid()


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
