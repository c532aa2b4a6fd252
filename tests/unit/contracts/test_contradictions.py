"""Whatever numbers a contract is given, it can be kept, or is refused with the remedy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from purista_celery import Lifecycle, LongRunning, Queue, RetryStrategy, Service
from purista_celery.errors import InvalidLifecycle

ZERO = timedelta(0)
#: Where the borders are, and anywhere else, as far as a timedelta goes.
SPANS = st.timedeltas() | st.sampled_from(
    [timedelta(seconds=seconds) for seconds in (-1, 0, 0.3, 0.5, 1, 2, 60, 300, 900, 86_400)]
)
NUMBERS = st.integers(-1, 12) | st.integers()
REMEDIES = ("Correct", "Leave it out", "leave it out", "give only one")


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these fields; the others are not given."""
    return st.fixed_dictionaries({}, optional=fields)


STRATEGIES = some(
    initial_delay=SPANS, max_delay=SPANS, multiplier=st.floats(), jitter_factor=st.floats()
)
LIFECYCLES = some(
    visibility_timeout=SPANS,
    max_lease_extensions=NUMBERS,
    heartbeat_interval=SPANS,
    auto_heartbeat=st.booleans(),
    retry_window=SPANS,
    max_attempts=NUMBERS,
    poison_message_failure_threshold=NUMBERS,
)
PROFILES = some(
    visibility_timeout=SPANS,
    heartbeat_interval=SPANS,
    max_attempts=NUMBERS,
    shutdown_grace=SPANS,
)


#: A lifecycle, a profile and retries; None stands for one that is not given.
QUEUES = st.fixed_dictionaries(
    {
        "max_runtime": SPANS,
        "profile": st.none() | PROFILES,
        "lifecycle": st.none() | LIFECYCLES,
        "strategy": STRATEGIES,
    }
)


def made(
    max_runtime: timedelta,
    profile: dict[str, Any] | None,
    lifecycle: dict[str, Any] | None,
    strategy: dict[str, Any],
) -> Queue[Any, Any, Any] | str:
    """Return the queue, or why there is none."""
    try:
        again = RetryStrategy(**strategy)
        long = None if profile is None else LongRunning(max_runtime=max_runtime, **profile)
        own = None if lifecycle is None else Lifecycle(**lifecycle, retry_strategy=again)
        return Service("a").queue("q", payload=None, lifecycle=own, profile=long)
    except InvalidLifecycle as error:
        return error.message


@hypothesis_settings(deadline=None)
@given(QUEUES)
def test_a_queue_can_be_kept_or_is_refused(given: dict[str, Any]) -> None:
    """A lease is renewed twice before it ends, and a job may be held for as long as it may run."""
    queue = made(**given)
    if isinstance(queue, str):
        assert any(remedy in queue for remedy in REMEDIES), queue
        return
    kept = queue.lifecycle
    assert timedelta(seconds=1) <= kept.visibility_timeout <= kept.longest_hold
    if kept.auto_heartbeat:
        assert ZERO < kept.heartbeat_interval <= kept.visibility_timeout / 2
    assert ZERO <= kept.retry_strategy.initial_delay <= kept.retry_strategy.max_delay
    assert 1 <= kept.max_attempts < 2**31
    if queue.profile:
        assert kept.visibility_timeout <= queue.profile.max_runtime <= kept.longest_hold
        # Both ends of a hold can be counted in milliseconds.
        assert queue.profile.hard_limit + kept.visibility_timeout < timedelta(days=36_525)
