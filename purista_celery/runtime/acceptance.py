"""What Celery's prefork pool has handed to a process, it hears of before it lets go of the rest.

When a connection is lost or a worker shuts down, the pool forgets each job that no process has
accepted yet (Celery's ``AsynPool.flush``). A process that was sent one a moment before runs it all
the same: unknown to the worker, so without a lease that is renewed and without a grace period; and
billiard, which reads no more from it, then lets it wait 30 s before it may end. So the answers that
are under way are read first. There is no public way to ask a pool for them: this file alone knows
its parts, and ``tests/unit/test_upstream_shape.py`` notices when they change.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from inspect import isgenerator
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import Any

from celery.concurrency.asynpool import AsynPool

log = logging.getLogger(__name__)

#: Seconds; a process that is idle accepts within milliseconds.
_PATIENCE = 3.0
_LOOK_EVERY = 0.1


def hear_processes(pool: Any, hub: Any) -> None:
    """Wait until each job that was sent to a process of ``pool`` is accepted, or over.

    Nothing is sent meanwhile: what waits for a process is still forgotten, and offered again by
    the broker. Other pools than prefork know at once what they run.
    """
    processes = getattr(pool, "_pool", None)
    if not isinstance(processes, AsynPool):
        return
    began, told = time.monotonic(), False
    while sent := _sent(processes):
        waited = time.monotonic() - began
        if waited > _PATIENCE:
            log.warning("%d jobs were sent to processes that do not answer", len(sent))
            return
        if waited > _LOOK_EVERY and not told:
            log.info("Waiting for processes to accept %d jobs that they were sent", len(sent))
            told = True
        _advance(processes, hub, sent)


def _advance(processes: Any, hub: Any, sent: list[Any]) -> None:
    """Read the answers to ``sent``, and go on writing what is larger than a pipe's buffer."""
    answers = {job._write_to.outqR_fd for job in sent}
    unwritten = {
        job._write_to.inqW_fd: writer
        for job in sent
        if (writer := job._writer()) in processes._active_writers
    }
    with DefaultSelector() as selector:
        for descriptor in answers:
            selector.register(descriptor, EVENT_READ)
        for descriptor in unwritten:
            selector.register(descriptor, EVENT_WRITE)
        for key, _ in selector.select(_LOOK_EVERY):
            with suppress(OSError, EOFError):  # It has just died.
                if key.fd in answers:
                    _read(processes, hub, key.fd)
                else:
                    next(unwritten[key.fd], None)


def _sent(processes: Any) -> list[Any]:
    """Return the jobs of which a living process has got something, and which it did not accept."""
    return [
        job
        for job in tuple(processes._cache.values())
        if not job._accepted and job._write_to is not None and job._write_to._is_alive()
    ]


def _read(processes: Any, hub: Any, descriptor: int) -> None:
    """Read one answer, as the event loop would: on from where it stopped, if it still knows."""
    callback, arguments = hub.readers.get(descriptor) or (
        processes.handle_result_event,
        (descriptor,),
    )
    if isgenerator(callback):
        next(callback, None)
    else:
        callback(*arguments)
