"""Waiting for a ledger that is away, where what is asked of it is worth that."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from purista_celery.errors import LedgerUnavailable

log = logging.getLogger(__name__)
T = TypeVar("T")

_PAUSE = 0.5


def patiently(ask: Callable[[], T], patience: timedelta) -> T:
    """Return what ``ask`` returns, asked again and again while the ledger does not answer.

    Raises:
        LedgerUnavailable: it did not within ``patience``.
    """
    until = time.monotonic() + patience.total_seconds()
    waited = False
    while True:
        try:
            return ask()
        except LedgerUnavailable:
            if time.monotonic() >= until:
                raise
            level = logging.DEBUG if waited else logging.WARNING
            log.log(level, "The ledger does not answer; trying again.")
            waited = True
            time.sleep(_PAUSE)
