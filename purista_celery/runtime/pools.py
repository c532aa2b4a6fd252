"""Celery's kinds of pool, of which some can not run our jobs."""

from __future__ import annotations

import logging
from typing import Any

from celery.concurrency.prefork import TaskPool as Prefork
from celery.concurrency.solo import TaskPool as Solo
from celery.concurrency.thread import TaskPool as Threads
from celery.platforms import EX_FAILURE

from purista_celery.errors import UnsupportedPool

log = logging.getLogger(__name__)

SUPPORTED = {"prefork": Prefork, "threads": Threads, "solo": Solo}


def check(pool: Any) -> None:
    """Check the class of a worker's pool.

    Raises:
        UnsupportedPool: heartbeats would wait for handlers (gevent, eventlet), or nobody knows.
    """
    if not (isinstance(pool, type) and issubclass(pool, tuple(SUPPORTED.values()))):
        name = f"{getattr(pool, '__module__', '')}:{getattr(pool, '__qualname__', pool)}"
        raise UnsupportedPool(
            f"Expected one of the pools {', '.join(SUPPORTED)}, got {name}. Start the worker with "
            f"-P prefork, -P threads or -P solo."
        )


def refuse_unsupported(pool: Any) -> None:
    """End the worker, with one line that says why, unless its pool is supported.

    Celery would show an error that is raised here below sixty lines of traceback.
    """
    try:
        check(pool)
    except UnsupportedPool as error:
        log.critical("%s", error)
        raise SystemExit(EX_FAILURE) from error
