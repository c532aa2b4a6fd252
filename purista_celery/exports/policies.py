"""A queue's lifecycle, profile and result policy, as PURISTA's definitions write them."""

from __future__ import annotations

from typing import Any

from purista_celery.contracts.expression import milliseconds
from purista_celery.contracts.lifecycle import Lifecycle, LongRunning
from purista_celery.contracts.queue import Queue
from purista_celery.exports.document import given


def lifecycle(lifecycle: Lifecycle) -> dict[str, Any]:
    """Return PURISTA's ``QueueLifecycleConfig``."""
    backoff = lifecycle.retry_strategy
    return {
        "autoHeartbeat": lifecycle.auto_heartbeat,
        "heartbeatIntervalMs": milliseconds(lifecycle.heartbeat_interval),
        "maxAttempts": lifecycle.max_attempts,
        "maxLeaseExtensions": lifecycle.max_lease_extensions,
        "poisonMessageAction": lifecycle.poison_message_action,
        "poisonMessageFailureThreshold": lifecycle.poison_message_failure_threshold,
        "retryStrategy": {
            "initialDelayMs": milliseconds(backoff.initial_delay),
            "jitterFactor": backoff.jitter_factor,
            "maxDelayMs": milliseconds(backoff.max_delay),
            "multiplier": backoff.multiplier,
        },
        "retryWindowMs": milliseconds(lifecycle.retry_window),
        "visibilityTimeoutMs": milliseconds(lifecycle.visibility_timeout),
    }


def execution_profile(profile: LongRunning | None) -> dict[str, Any] | None:
    """Return PURISTA's ``executionProfile``, or None for a queue without one."""
    if profile is None:
        return None
    return {
        "maxRuntimeMs": milliseconds(profile.max_runtime),
        "name": "longRunning",
        "onLeaseLost": profile.on_lease_lost,
        "shutdown": {
            "graceMs": milliseconds(profile.shutdown_grace),
            "onTimeout": "letLeaseExpire",
        },
        "strict": profile.strict,
    }


def result_policy(queue: Queue[Any, Any, Any]) -> dict[str, Any] | None:
    """Return PURISTA's ``QueueResultPolicy``, or None for a queue without one."""
    policy = queue.results.policy
    if policy is None:
        return None
    return given(
        cancelledEventName=policy.cancelled,
        deadLetterEventName=policy.dead_letter,
        delivery=policy.delivery,
        emitProgressEvents=True if policy.progress else None,
        eventId="jobIdAndStatus",
        failureEventName=policy.failure,
        mode="event",
        progressEventName=policy.progress,
        successEventName=policy.success,
    )
