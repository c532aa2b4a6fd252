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
#: More than anybody means; what is longer could not be counted in milliseconds everywhere.
LONGEST = timedelta(days=36_525)
#: Stands for a span that is not given: PURISTA's default, or less where that would contradict what
#: is given.
FITTING = timedelta(microseconds=-1)

_LEASE, _LONG_LEASE = timedelta(minutes=15), timedelta(minutes=5)
_BEAT, _LONG_BEAT = timedelta(minutes=5), timedelta(minutes=1)
_WINDOW = timedelta(hours=24)
_FIRST_DELAY, _LAST_DELAY = timedelta(seconds=1), timedelta(seconds=120)


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryStrategy:
    """Exponential backoff between two attempts of a job."""

    #: Delay before the second attempt; 1 s, or less where ``max_delay`` is shorter.
    initial_delay: timedelta = FITTING
    #: No delay is longer, neither computed nor asked for; 120 s, or ``initial_delay`` if longer.
    max_delay: timedelta = FITTING
    #: Factor from one delay to the next; at least 1.
    multiplier: float = 2
    #: Up to this share of the delay is added at random, so that a herd spreads out.
    jitter_factor: float = 0.25

    def __post_init__(self) -> None:
        first, last = self.initial_delay, self.max_delay
        if last == FITTING:
            last = max(_LAST_DELAY, first)
        if first == FITTING:
            first = min(_FIRST_DELAY, last)
        _set(self, initial_delay=first, max_delay=last)
        if not ZERO <= first <= last <= LONGEST:
            raise InvalidLifecycle(
                f"Retry delays: expected 0 <= initial_delay <= max_delay, and no more than a "
                f"hundred years, got {first} and {last}. Correct one, or give only one of them."
            )
        if not 1 <= self.multiplier < math.inf or not 0 <= self.jitter_factor <= 1:
            raise InvalidLifecycle(
                f"Retry growth: expected a finite multiplier >= 1 and 0 <= jitter_factor <= 1, "
                f"got {self.multiplier} and {self.jitter_factor}. Correct them."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Lifecycle:
    """Lease, attempts and retries of one queue's jobs."""

    #: Length of a lease; a job whose worker is silent for longer goes to another.
    visibility_timeout: timedelta = _LEASE
    #: A job may be held for ``visibility_timeout * (1 + max_lease_extensions)`` in all.
    max_lease_extensions: int = 3
    #: The worker renews the lease this often, twice within its length at the least; every 5
    #: minutes, or a third of a lease that is shorter.
    heartbeat_interval: timedelta = FITTING
    #: Whether the worker renews leases by itself; else the handler calls ``job.extend_lease``.
    auto_heartbeat: bool = True
    #: No attempt starts later than this after the job was accepted.
    retry_window: timedelta = _WINDOW
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
        if self.heartbeat_interval == FITTING:
            _set(self, heartbeat_interval=_beat(_BEAT, self.visibility_timeout))
        self._check_lease()
        if not 1 <= self.max_attempts < 2**31 or not ZERO < self.retry_window <= LONGEST:
            raise InvalidLifecycle(
                f"Expected max_attempts >= 1 and less than 2^31, and retry_window > 0 and no more "
                f"than a hundred years, got {self.max_attempts} and {self.retry_window}. Correct "
                f"them."
            )
        if self.poison_message_failure_threshold < 0:
            raise InvalidLifecycle(
                f"poison_message_failure_threshold: expected 0 (off) or more, got "
                f"{self.poison_message_failure_threshold}. Correct it."
            )

    def _check_lease(self) -> None:
        if not timedelta(seconds=1) <= self.visibility_timeout <= LONGEST:
            raise InvalidLifecycle(
                f"visibility_timeout: expected at least 1 s, and no more than a hundred years, got "
                f"{self.visibility_timeout}. Correct it."
            )
        beat = self.heartbeat_interval
        if self.auto_heartbeat and not ZERO < beat <= self.visibility_timeout / 2:
            raise InvalidLifecycle(
                f"heartbeat_interval {beat} must be shorter than the lease (visibility_timeout "
                f"{self.visibility_timeout}), by half at the least: one heartbeat may come late. "
                f"Leave it out, and it is a third."
            )
        most = LONGEST // self.visibility_timeout
        if not 0 <= self.max_lease_extensions < most:
            raise InvalidLifecycle(
                f"max_lease_extensions >= 0 was expected, and less than {most}, which are a "
                f"hundred years, got {self.max_lease_extensions}. Correct it."
            )

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
    #: 5 minutes, or ``max_runtime`` where that is shorter.
    visibility_timeout: timedelta = FITTING
    #: 1 minute, or a third of a lease that is shorter.
    heartbeat_interval: timedelta = FITTING
    max_attempts: int = 3
    retry_strategy: RetryStrategy = field(default_factory=RetryStrategy)
    #: How long a warm shutdown waits for the handler before it gives the lease back.
    shutdown_grace: timedelta = timedelta(seconds=60)
    on_lease_lost: OnLeaseLost = "abort"

    def __post_init__(self) -> None:
        choices.one_of("LongRunning", "on_lease_lost", self.on_lease_lost, OnLeaseLost)
        if not timedelta(seconds=1) <= self.max_runtime <= LONGEST / 4:
            raise InvalidLifecycle(
                f"max_runtime: expected at least 1 s, and no more than 25 years, got "
                f"{self.max_runtime}. Correct it."
            )
        if self.visibility_timeout == FITTING:
            _set(self, visibility_timeout=min(_LONG_LEASE, self.max_runtime))
        if self.heartbeat_interval == FITTING:
            _set(self, heartbeat_interval=_beat(_LONG_BEAT, self.visibility_timeout))
        self._check_lease(self.visibility_timeout)
        if not ZERO <= self.shutdown_grace <= LONGEST / 4:
            raise InvalidLifecycle(
                f"shutdown_grace: expected >= 0, and no more than 25 years, got "
                f"{self.shutdown_grace}. Correct it."
            )

    def _check_lease(self, lease: timedelta) -> None:
        if self.max_runtime < lease:
            raise InvalidLifecycle(
                f"max_runtime {self.max_runtime} is shorter than the lease (visibility_timeout "
                f"{lease}). Raise max_runtime, shorten the lease or leave it out, or drop the "
                f"LongRunning profile: short jobs need none."
            )

    @property
    def hard_limit(self) -> timedelta:
        """When the process of a handler is ended that goes on in spite of ``max_runtime``."""
        return self.max_runtime + self.shutdown_grace + timedelta(seconds=1)

    def lifecycle(self, given: Lifecycle | None = None) -> Lifecycle:
        """Return the queue's lifecycle: ``given`` or the profile's, extended to ``max_runtime``."""
        chosen = self._shortened(given) if given else self._own()
        self._check_lease(chosen.visibility_timeout)
        leases = math.ceil(self.max_runtime / chosen.visibility_timeout)
        return replace(chosen, max_lease_extensions=max(1, leases - 1))

    def _own(self) -> Lifecycle:
        return Lifecycle(
            visibility_timeout=self.visibility_timeout,
            heartbeat_interval=self.heartbeat_interval,
            max_attempts=self.max_attempts,
            retry_strategy=self.retry_strategy,
        )

    def _shortened(self, given: Lifecycle) -> Lifecycle:
        """Return ``given``, with a shorter lease where it has PURISTA's, and that is too long."""
        if given.visibility_timeout != _LEASE or self.max_runtime >= _LEASE:
            return given
        beat = FITTING if given.heartbeat_interval == _BEAT else given.heartbeat_interval
        return replace(given, visibility_timeout=self.max_runtime, heartbeat_interval=beat)


def _beat(usual: timedelta, lease: timedelta) -> timedelta:
    """Return how often a lease is renewed where nobody says."""
    return min(usual, lease / 3)


def _set(contract: object, **values: object) -> None:
    """Settle fields of a frozen contract that is being made."""
    for name, value in values.items():
        object.__setattr__(contract, name, value)
