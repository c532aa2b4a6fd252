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
    until, told = time.monotonic() + patience.total_seconds(), False
    while True:
        try:
            return ask()
        except LedgerUnavailable as error:
            if time.monotonic() >= until:
                raise
            if not told:
                log.warning("Waiting up to %s for the ledger: %s", patience, error)
                told = True
            time.sleep(_PAUSE)
