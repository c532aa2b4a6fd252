"""Waiting for something to become true, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    probe: Callable[[], T],
    what: str | Callable[[], str],
    timeout: float = 30,
    every: float = 0.05,
) -> T:
    """Return the first truthy value of ``probe``; fail, saying ``what``, after ``timeout`` s.

    A ``what`` with logs in it is a function, so that it tells what they say at the end.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() >= deadline:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"Not within {timeout} s: {told}")
        time.sleep(every)
