"""Defaults are PURISTA's, and contradictions are refused when they are declared."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from datetime import timedelta
from typing import Any

import pytest

from purista_celery import Lifecycle, LongRunning, ResultEvents, RetryStrategy
from purista_celery.errors import ContractError, InvalidLifecycle

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def values(contract: Any) -> dict[str, Any]:
    return {field.name: getattr(contract, field.name) for field in fields(contract)}


def test_the_defaults_of_a_lifecycle_are_puristas() -> None:
    """QueueLifecycleConfig, field for field."""
    assert values(Lifecycle()) == {
        "visibility_timeout": timedelta(milliseconds=900_000),
        "max_lease_extensions": 3,
        "heartbeat_interval": timedelta(milliseconds=300_000),
        "auto_heartbeat": True,
        "retry_window": timedelta(milliseconds=86_400_000),
        "max_attempts": 10,
        "retry_strategy": RetryStrategy(),
        "poison_message_failure_threshold": 0,
        "poison_message_action": "none",
    }
    assert values(RetryStrategy()) == {
        "initial_delay": timedelta(milliseconds=1000),
        "max_delay": timedelta(milliseconds=120_000),
        "multiplier": 2,
        "jitter_factor": 0.25,
    }


@pytest.mark.parametrize(
    ("max_runtime", "extensions"),
    [
        (timedelta(minutes=5), 1),  # never fewer than one
        (timedelta(minutes=10), 1),
        (timedelta(minutes=10, milliseconds=1), 2),  # rounded up
        (timedelta(hours=1), 11),
        (timedelta(hours=6), 71),
    ],
)
def test_the_long_running_profile_is_puristas(max_runtime: timedelta, extensions: int) -> None:
    """max(1, ceil(maxRuntimeMs / 300 000) - 1) extensions of five minutes, three attempts."""
    lifecycle = LongRunning(max_runtime=max_runtime).lifecycle()

    assert values(lifecycle) == values(Lifecycle()) | {
        "visibility_timeout": timedelta(milliseconds=300_000),
        "max_lease_extensions": extensions,
        "heartbeat_interval": timedelta(milliseconds=60_000),
        "max_attempts": 3,
    }
    assert lifecycle.longest_hold >= max_runtime


def test_the_profile_around_the_lifecycle_is_puristas() -> None:
    """executionProfile: not strict, a minute to shut down, abort on a lost lease."""
    profile = LongRunning(max_runtime=HOUR)
    assert (profile.strict, profile.shutdown_grace, profile.on_lease_lost) == (
        False,
        timedelta(milliseconds=60_000),
        "abort",
    )


def test_a_profile_extends_a_lifecycle_that_is_given() -> None:
    """The queue's own lease, attempts and retries stay; only the extensions follow the runtime."""
    own = Lifecycle(visibility_timeout=MINUTE, heartbeat_interval=SECOND, max_attempts=7)

    extended = LongRunning(max_runtime=HOUR).lifecycle(own)

    assert values(extended) == values(own) | {"max_lease_extensions": 59}


def test_a_job_may_be_held_for_one_lease_and_its_extensions() -> None:
    """longest_hold counts the first lease too."""
    lifecycle = Lifecycle(visibility_timeout=10 * SECOND, heartbeat_interval=SECOND)
    assert lifecycle.longest_hold == 40 * SECOND


REFUSED: list[tuple[Callable[[], object], str]] = [
    # A negative delay.
    (lambda: RetryStrategy(initial_delay=-SECOND), "Retry delays"),
    # The first delay is longer than the longest.
    (lambda: RetryStrategy(initial_delay=HOUR, max_delay=SECOND), "initial_delay <= max_delay"),
    # Delays that shrink.
    (lambda: RetryStrategy(multiplier=0.5), "multiplier >= 1"),
    # Delays that can not be computed.
    (lambda: RetryStrategy(multiplier=math.nan), "multiplier >= 1"),
    (lambda: RetryStrategy(multiplier=math.inf), "multiplier >= 1"),
    # Jitter is a share.
    (lambda: RetryStrategy(jitter_factor=-0.1), "jitter_factor"),
    (lambda: RetryStrategy(jitter_factor=1.1), "jitter_factor"),
    (lambda: RetryStrategy(jitter_factor=math.nan), "jitter_factor"),
    # A lease that no network could renew in time.
    (lambda: Lifecycle(visibility_timeout=timedelta(0)), "visibility_timeout: expected at least"),
    # A heartbeat that comes too late, or may not come late once.
    (lambda: Lifecycle(heartbeat_interval=timedelta(minutes=8)), "shorter than the lease"),
    (lambda: Lifecycle(heartbeat_interval=timedelta(minutes=15)), "shorter than the lease"),
    (lambda: Lifecycle(heartbeat_interval=timedelta(0)), "shorter than the lease"),
    # No attempt at all.
    (lambda: Lifecycle(max_attempts=0), "max_attempts >= 1"),
    (lambda: Lifecycle(max_lease_extensions=-1), "max_lease_extensions >= 0"),
    (lambda: Lifecycle(max_attempts=2**31), "less than 2"),
    (lambda: Lifecycle(retry_window=timedelta(0)), "retry_window > 0"),
    (lambda: Lifecycle(poison_message_failure_threshold=-1), "poison_message_failure_threshold"),
    # A runtime shorter than the lease: such a job needs no profile.
    (
        lambda: LongRunning(max_runtime=MINUTE, visibility_timeout=2 * MINUTE),
        "max_runtime 0:01:00 is shorter than the lease",
    ),
    (lambda: LongRunning(max_runtime=SECOND / 2), "max_runtime: expected at least 1 s"),
    (lambda: LongRunning(max_runtime=HOUR, shutdown_grace=-SECOND), "shutdown_grace"),
    # … or than the lease of the lifecycle that it extends.
    (
        lambda: LongRunning(max_runtime=6 * MINUTE).lifecycle(Lifecycle(visibility_timeout=HOUR)),
        "max_runtime 0:06:00 is shorter than the lease",
    ),
    # What only the lifecycle can tell.
    (lambda: LongRunning(max_runtime=HOUR, max_attempts=0).lifecycle(), "max_attempts >= 1"),
    (lambda: LongRunning(max_runtime=HOUR, heartbeat_interval=HOUR).lifecycle(), "shorter than"),
]


@pytest.mark.parametrize(("declare", "says"), REFUSED, ids=range(len(REFUSED)))
def test_a_contradiction_is_refused(declare: Callable[[], object], says: str) -> None:
    """The message names the field and the numbers."""
    with pytest.raises(InvalidLifecycle, match=says) as caught:
        declare()
    assert caught.value.code == "PURISTA_CONTRACT_INVALID_LIFECYCLE"


@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        (Lifecycle(visibility_timeout=30 * SECOND), {"heartbeat_interval": 10 * SECOND}),
        (Lifecycle(visibility_timeout=SECOND), {"heartbeat_interval": SECOND / 3}),
        (Lifecycle(visibility_timeout=HOUR), {"heartbeat_interval": 5 * MINUTE}),
        (RetryStrategy(max_delay=SECOND / 2), {"initial_delay": SECOND / 2}),
        (RetryStrategy(initial_delay=HOUR), {"max_delay": HOUR}),
        (
            LongRunning(max_runtime=2 * MINUTE),
            {"visibility_timeout": 2 * MINUTE, "heartbeat_interval": 40 * SECOND},
        ),
        (
            LongRunning(max_runtime=HOUR, visibility_timeout=30 * SECOND),
            {"heartbeat_interval": 10 * SECOND},
        ),
        (
            LongRunning(max_runtime=6 * MINUTE).lifecycle(Lifecycle(max_attempts=5)),
            {
                "visibility_timeout": 6 * MINUTE,
                "heartbeat_interval": 2 * MINUTE,
                "max_attempts": 5,
                "max_lease_extensions": 1,
            },
        ),
    ],
    ids=repr,
)
def test_what_is_not_given_follows_from_what_is(contract: Any, expected: dict[str, Any]) -> None:
    """No contract contradicts its own defaults."""
    assert expected.items() <= values(contract).items()


def test_a_lease_without_automatic_heartbeat_needs_no_interval() -> None:
    """The handler renews it itself."""
    Lifecycle(auto_heartbeat=False, heartbeat_interval=HOUR)


def test_a_result_policy_names_at_least_one_event() -> None:
    """An empty one is a mistake."""
    with pytest.raises(ContractError, match="name at least one event"):
        ResultEvents()
    with pytest.raises(ContractError, match=r"Result event name 'a.\*'"):
        ResultEvents(success="a.*")


def test_a_result_policy_maps_outcomes_to_names() -> None:
    """The statuses are PURISTA's; delivery is best-effort unless more is asked for."""
    policy = ResultEvents(success="a.ok", dead_letter="a.dead")
    assert policy.delivery == "best-effort"
    assert policy.names() == {
        "success": "a.ok",
        "failed": None,
        "cancelled": None,
        "dead-lettered": "a.dead",
        "progress": None,
    }


@pytest.mark.parametrize(
    ("contract", "field"),
    [
        (Lifecycle(), "max_attempts"),
        (RetryStrategy(), "multiplier"),
        (LongRunning(max_runtime=HOUR), "max_runtime"),
        (ResultEvents(success="a"), "success"),
    ],
)
def test_a_contract_is_a_frozen_value(contract: Any, field: str) -> None:
    """It can not be changed after it was checked."""
    with pytest.raises(FrozenInstanceError):
        setattr(contract, field, 1)
    assert hash(contract) == hash(contract)
