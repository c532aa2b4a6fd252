"""What follows a failed attempt, as a value."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purista_celery import Lifecycle, RetryStrategy
from purista_celery.contracts.lifecycle import PoisonAction
from purista_celery.ledger.decision import Bury, Failure, Retry, backoff, decide

SECOND = timedelta(seconds=1)
NOW = timedelta(0)
STEADY = RetryStrategy(jitter_factor=0)
LIFECYCLE = Lifecycle(retry_strategy=STEADY, retry_window=timedelta(hours=1))
FAILURE = Failure("ValueError", "no such row")


@pytest.mark.parametrize(
    ("failure", "attempt", "age", "decision"),
    [
        # Backoff, while attempts and window last.
        (FAILURE, 1, NOW, Retry(SECOND, "ValueError", "no such row")),
        (FAILURE, 3, NOW, Retry(4 * SECOND, "ValueError", "no such row")),
        (FAILURE, 4, 3599 * SECOND, Retry(8 * SECOND, "ValueError", "no such row")),
        # What was asked for, up to the longest delay.
        (Failure("busy", delay=NOW), 2, NOW, Retry(NOW, "busy", "")),
        (Failure("busy", delay=7 * SECOND), 2, NOW, Retry(7 * SECOND, "busy", "")),
        (Failure("busy", delay=timedelta(days=1)), 2, NOW, Retry(120 * SECOND, "busy", "")),
        # The last attempt; more than the last, after a deploy that allows fewer.
        (FAILURE, 5, NOW, Bury("max_attempts_exceeded", "ValueError: no such row")),
        (FAILURE, 6, NOW, Bury("max_attempts_exceeded", "ValueError: no such row")),
        (Failure("busy"), 5, NOW, Bury("max_attempts_exceeded", "busy")),
        # A job that kills its workers is told from one that fails.
        (Failure("lease_expired", "x"), 5, NOW, Bury("lease_expired", "lease_expired: x")),
        # The window has passed.
        (FAILURE, 1, 3600 * SECOND, Bury("retry_window_expired", "ValueError: no such row")),
        # Attempts are counted first, as in PURISTA.
        (FAILURE, 5, 3600 * SECOND, Bury("max_attempts_exceeded", "ValueError: no such row")),
        # Fatal is fatal, and keeps its own reason.
        (Failure("bad", "e", fatal=True), 1, NOW, Bury("bad", "e")),
        (Failure("bad", "e", fatal=True, delay=SECOND), 5, 3600 * SECOND, Bury("bad", "e")),
    ],
)
def test_a_failure_leads_to_a_retry_or_a_dead_letter(
    failure: Failure, attempt: int, age: timedelta, decision: Retry | Bury
) -> None:
    """PURISTA's order: fatal, attempts, window, then another attempt."""
    assert decide(failure, LIFECYCLE, attempt, 5, age) == decision


@pytest.mark.parametrize(
    ("threshold", "action", "in_a_row", "decision"),
    [
        (3, "pause-worker", 2, Retry(SECOND, "ValueError", "no such row")),
        (
            3,
            "pause-worker",
            3,
            Bury("poison_message:ValueError", "no such row", pause="poison_message:ValueError"),
        ),
        (3, "none", 3, Bury("poison_message:ValueError", "no such row")),
        # off
        (0, "pause-worker", 9, Retry(SECOND, "ValueError", "no such row")),
    ],
)
def test_the_same_failure_in_a_row_marks_a_poison_message(
    threshold: int, action: PoisonAction, in_a_row: int, decision: Retry | Bury
) -> None:
    """PURISTA's reason; whether the queue is paused with it is the contract's to say."""
    lifecycle = Lifecycle(
        retry_strategy=STEADY,
        poison_message_failure_threshold=threshold,
        poison_message_action=action,
    )
    assert decide(FAILURE, lifecycle, 1, 20, NOW, in_a_row=in_a_row) == decision


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 1), (2, 2), (3, 4), (7, 64), (8, 120), (9, 120), (100_000, 120)]
)
def test_delays_double_up_to_the_longest(attempt: int, seconds: int) -> None:
    """min(maxDelay, initial * multiplier^(attempt - 1)), however many attempts there are."""
    assert backoff(STEADY, attempt) == timedelta(seconds=seconds)


def test_no_delay_stays_no_delay() -> None:
    """Nothing, doubled, is nothing."""
    assert backoff(RetryStrategy(initial_delay=NOW), 1_000_000_000) == NOW


def test_jitter_is_random_and_on_top() -> None:
    """Up to its share of the delay, so that a herd spreads out; decide lets it pass the cap."""
    strategy = RetryStrategy(initial_delay=120 * SECOND)
    lifecycle = Lifecycle(retry_strategy=strategy)
    delays = {decide(FAILURE, lifecycle, 1, 5, NOW).delay for _ in range(50)}  # type: ignore[union-attr]
    assert len(delays) > 1
    assert all(120 * SECOND <= delay <= 150 * SECOND for delay in delays)


@given(
    attempt=st.integers(1, 5000),
    multiplier=st.floats(1, 1e300),
    jitter=st.floats(0, 1),
    initial=st.timedeltas(NOW, timedelta(days=1)),
)
def test_any_strategy_gives_a_delay_within_its_bounds(
    attempt: int, multiplier: float, jitter: float, initial: timedelta
) -> None:
    """No strategy that can be declared overflows: a worker that can not decide loses the job."""
    strategy = RetryStrategy(
        initial_delay=initial,
        max_delay=timedelta(days=1),
        multiplier=multiplier,
        jitter_factor=jitter,
    )
    tiny = timedelta(microseconds=1)
    assert initial - tiny <= backoff(strategy, attempt) <= timedelta(days=1) * (1 + jitter) + tiny
