"""An attempt that an outage of ledger or broker ended: it is made again, and not counted."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import timedelta

from purista_celery.contracts.lifecycle import RetryStrategy
from purista_celery.ledger.decision import Failure
from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.records import Settled
from purista_celery.producer import masking
from purista_celery.runtime.settle import Held, clean

#: An outage lasts for longer than many a queue's first delay.
SHORTEST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Postponed:
    """What became of a hindered attempt."""

    settled: Settled
    delay: timedelta
    failure: Failure


def postpone(ledger: Ledger, held: Held, failure: Failure) -> Postponed | None:
    """Give the job back for later, uncounted.

    Returns:
        None where the retry window has passed: an outage without an end is a failure, too.
    """
    age = timedelta(milliseconds=ledger.workers.now_ms() - held.window_start)
    if age >= held.queue.lifecycle.retry_window:
        return None
    secrets = masking.secrets_of(held.queue, held.message)
    failure = replace(
        failure,
        reason=clean(secrets.hidden_in(failure.reason)),
        error=clean(secrets.hidden_in(failure.error)),
    )
    first, longest = _delays(held.queue.lifecycle.retry_strategy)
    settled, delay = ledger.postpone(
        held.queue.name,
        held.message.id,
        held.fence,
        first=first,
        longest=longest,
        reason=failure.reason,
        error=failure.error,
    )
    return Postponed(settled, delay, failure)


def _delays(strategy: RetryStrategy) -> tuple[timedelta, timedelta]:
    jitter = random.uniform(0, strategy.jitter_factor)  # noqa: S311 - no secret
    first = max(strategy.initial_delay, SHORTEST) * (1 + jitter)
    return first, max(strategy.max_delay, first)
