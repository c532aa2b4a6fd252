"""What becomes of an attempt: a value. Acting on it is somebody else's."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

from purista_celery.contracts.lifecycle import Lifecycle, RetryStrategy

#: Reasons that the ledger's users can rely on; a handler's own reasons join them.
MAX_ATTEMPTS_EXCEEDED = "max_attempts_exceeded"
RETRY_WINDOW_EXPIRED = "retry_window_expired"
LEASE_EXPIRED = "lease_expired"
POISON = "poison_message"

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that did not complete."""

    #: Short and stable, for machines and dashboards.
    reason: str
    #: What happened, for people.
    error: str = ""
    #: No further attempt can help.
    fatal: bool = False
    #: Asked for instead of the queue's backoff.
    delay: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after ``delay``."""

    delay: timedelta
    reason: str
    error: str


@dataclass(frozen=True, slots=True)
class Bury:
    """Make it a dead letter."""

    reason: str
    error: str
    #: Why the whole queue is to be paused with it, if it is.
    pause: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Make it cancelled: somebody asked for that while the attempt ran."""

    reason: str = "cancelled"
    error: str = ""


def decide(
    failure: Failure,
    lifecycle: Lifecycle,
    attempt: int,
    max_attempts: int,
    age: timedelta,
    *,
    in_a_row: int = 1,
) -> Retry | Bury:
    """Decide what follows a failed attempt.

    Args:
        attempt: the attempt that failed, from 1.
        age: how long ago the job was accepted (or redriven).
        in_a_row: how many attempts have failed for this reason now, without another between.
    """
    if failure.fatal:
        return Bury(failure.reason, failure.error)
    if 0 < lifecycle.poison_message_failure_threshold <= in_a_row:
        # PURISTA's reason for it.
        reason = f"{POISON}:{failure.reason}"
        pauses = lifecycle.poison_message_action == "pause-worker"
        return Bury(reason, failure.error, pause=reason if pauses else "")
    if attempt >= max_attempts:
        reason = LEASE_EXPIRED if failure.reason == LEASE_EXPIRED else MAX_ATTEMPTS_EXCEEDED
        return Bury(reason, _story(failure))
    if age >= lifecycle.retry_window:
        return Bury(RETRY_WINDOW_EXPIRED, _story(failure))
    delay = backoff(lifecycle.retry_strategy, attempt) if failure.delay is None else failure.delay
    return Retry(min(delay, _cap(lifecycle, failure)), failure.reason, failure.error)


def backoff(strategy: RetryStrategy, attempt: int) -> timedelta:
    """Return the delay after ``attempt``: exponential, with random jitter on top."""
    delay, longest = strategy.initial_delay / SECOND, strategy.max_delay / SECOND
    # Step by step in seconds: a power, or a timedelta, would overflow long before the last attempt.
    for _ in range(attempt - 1):
        if not 0 < delay < longest:
            break
        delay *= strategy.multiplier
    jitter = random.uniform(0, strategy.jitter_factor)  # noqa: S311 - no secret
    return min(delay, longest) * (1 + jitter) * SECOND


def _story(failure: Failure) -> str:
    return f"{failure.reason}: {failure.error}" if failure.error else failure.reason


def _cap(lifecycle: Lifecycle, failure: Failure) -> timedelta:
    strategy = lifecycle.retry_strategy
    if failure.delay is not None:
        return strategy.max_delay
    return strategy.max_delay * (1 + strategy.jitter_factor)
