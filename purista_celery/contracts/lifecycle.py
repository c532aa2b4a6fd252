"""How long a job may take, how often it is tried, and how long it is waited for.

Fields and defaults are PURISTA's ``QueueLifecycleConfig`` and its ``longRunning`` profile; spans of
time are :class:`~datetime.timedelta` here and milliseconds on the wire.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from purista_celery.contracts import choices
from purista_celery.errors import InvalidLifecycle

PoisonAction = Literal["none", "pause-worker"]
OnLeaseLost = Literal["abort", "ignore"]

ZERO = timedelta(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryStrategy:
    """Exponential backoff between two attempts of a job."""

    #: Delay before the second attempt.
    initial_delay: timedelta = timedelta(seconds=1)
    #: No delay is longer, neither computed nor asked for.
    max_delay: timedelta = timedelta(seconds=120)
    #: Factor from one delay to the next; at least 1.
    multiplier: float = 2
    #: Up to this share of the delay is added at random, so that a herd spreads out.
    jitter_factor: float = 0.25

    def __post_init__(self) -> None:
        if not ZERO <= self.initial_delay <= self.max_delay:
            raise InvalidLifecycle(
                f"Retry delays: expected 0 <= initial_delay <= max_delay, "
                f"got {self.initial_delay} and {self.max_delay}."
            )
        if not 1 <= self.multiplier < math.inf or not 0 <= self.jitter_factor <= 1:
            raise InvalidLifecycle(
                f"Retry growth: expected a finite multiplier >= 1 and 0 <= jitter_factor <= 1, "
                f"got {self.multiplier} and {self.jitter_factor}."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Lifecycle:
    """Lease, attempts and retries of one queue's jobs."""

    #: Length of a lease; a job whose worker is silent for longer goes to another.
    visibility_timeout: timedelta = timedelta(minutes=15)
    #: A job may be held for ``visibility_timeout * (1 + max_lease_extensions)`` in all.
    max_lease_extensions: int = 3
    #: The worker renews the lease this often.
    heartbeat_interval: timedelta = timedelta(minutes=5)
    #: Whether the worker renews leases by itself; else the handler calls ``job.extend_lease``.
    auto_heartbeat: bool = True
    #: No attempt starts later than this after the job was accepted.
    retry_window: timedelta = timedelta(hours=24)
    #: Attempts in all, the first included.
    max_attempts: int = 10
    retry_strategy: RetryStrategy = field(default_factory=RetryStrategy)
    #: The same failure reason this often in a row marks a poison message; 0 is off.
    poison_message_failure_threshold: int = 0
    poison_message_action: PoisonAction = "none"

    def __post_init__(self) -> None:
        choices.one_of(
            "Lifecycle", "poison_message_action", self.poison_message_action, PoisonAction
        )
        if self.visibility_timeout < timedelta(seconds=1):
            raise InvalidLifecycle(
                f"visibility_timeout: expected at least 1 s, got {self.visibility_timeout}."
            )
        if self.auto_heartbeat and not ZERO < self.heartbeat_interval < self.visibility_timeout:
            raise InvalidLifecycle(
                f"heartbeat_interval {self.heartbeat_interval} must be shorter than the lease "
                f"(visibility_timeout {self.visibility_timeout}); a third of it is usual."
            )
        if self.max_attempts < 1 or self.max_lease_extensions < 0 or self.retry_window <= ZERO:
            raise InvalidLifecycle(
                f"Expected max_attempts >= 1, max_lease_extensions >= 0 and retry_window > 0, got "
                f"{self.max_attempts}, {self.max_lease_extensions} and {self.retry_window}."
            )
        if self.poison_message_failure_threshold < 0:
            raise InvalidLifecycle("poison_message_failure_threshold: expected 0 (off) or more.")

    @property
    def longest_hold(self) -> timedelta:
        """The longest time that one attempt may hold its job."""
        return self.visibility_timeout * (1 + self.max_lease_extensions)


@dataclass(frozen=True, kw_only=True, slots=True)
class LongRunning:
    """The ``longRunning`` execution profile: jobs of minutes to hours under short, renewed leases.

    Its lifecycle holds a job for ``max_runtime`` at most; a handler that runs longer is ended.
    """

    max_runtime: timedelta
    #: Refuse to start where the live broker or ledger can not carry such a job.
    strict: bool = False
    visibility_timeout: timedelta = timedelta(minutes=5)
    heartbeat_interval: timedelta = timedelta(minutes=1)
    max_attempts: int = 3
    retry_strategy: RetryStrategy = field(default_factory=RetryStrategy)
    #: How long a warm shutdown waits for the handler before it gives the lease back.
    shutdown_grace: timedelta = timedelta(seconds=60)
    on_lease_lost: OnLeaseLost = "abort"

    def __post_init__(self) -> None:
        choices.one_of("LongRunning", "on_lease_lost", self.on_lease_lost, OnLeaseLost)
        if self.max_runtime < self.visibility_timeout:
            raise InvalidLifecycle(
                f"max_runtime {self.max_runtime} is shorter than the lease (visibility_timeout "
                f"{self.visibility_timeout}). Raise max_runtime, shorten the lease, or drop the "
                f"LongRunning profile: short jobs need none."
            )
        if self.shutdown_grace < ZERO:
            raise InvalidLifecycle(f"shutdown_grace: expected >= 0, got {self.shutdown_grace}.")

    @property
    def hard_limit(self) -> timedelta:
        """When the process of a handler is ended that goes on in spite of ``max_runtime``."""
        return self.max_runtime + self.shutdown_grace + timedelta(seconds=1)

    def lifecycle(self, given: Lifecycle | None = None) -> Lifecycle:
        """Return the queue's lifecycle: ``given`` or the profile's, extended to ``max_runtime``."""
        chosen = given or Lifecycle(
            visibility_timeout=self.visibility_timeout,
            heartbeat_interval=self.heartbeat_interval,
            max_attempts=self.max_attempts,
            retry_strategy=self.retry_strategy,
        )
        if self.max_runtime < chosen.visibility_timeout:
            raise InvalidLifecycle(
                f"max_runtime {self.max_runtime} is shorter than the lease (visibility_timeout "
                f"{chosen.visibility_timeout})."
            )
        leases = math.ceil(self.max_runtime / chosen.visibility_timeout)
        return replace(chosen, max_lease_extensions=max(1, leases - 1))
