"""Which rule a changed setting falls under."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from purista_celery.contracts.lifecycle import Lifecycle
from purista_celery.exports.diff.pointers import canonical

_PROFILE = "executionProfile.name"
#: Names a rule for a setting's old and new value; None where it says nothing.
Judge = Callable[[Any, Any], str | None]

_STANDARD = Lifecycle()
#: What a setting is where an export leaves it out.
_DEFAULTS: Mapping[str, Any] = {
    "lifecycle.visibilityTimeoutMs": _STANDARD.visibility_timeout / timedelta(milliseconds=1),
    "lifecycle.maxLeaseExtensions": _STANDARD.max_lease_extensions,
    "lifecycle.heartbeatIntervalMs": _STANDARD.heartbeat_interval / timedelta(milliseconds=1),
    "lifecycle.autoHeartbeat": _STANDARD.auto_heartbeat,
    "lifecycle.retryWindowMs": _STANDARD.retry_window / timedelta(milliseconds=1),
    "lifecycle.maxAttempts": _STANDARD.max_attempts,
    "resultPolicy.delivery": "best-effort",
    "resultPolicy.eventId": "jobIdAndStatus",
    "idempotencyMode": "advisory",
    "missedRunPolicy": "skip",
    "maxCatchUpCount": 1,
    "concurrencyPolicy": "allow",
    "schedulerGroup": "default",
    "enabledByDefault": True,
}


def changed_settings(
    kind: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield rule, setting, old and new value of each setting of a ``kind`` that changed."""
    for setting in sorted({*old, *new}):
        before, after = (each.get(setting, _DEFAULTS.get(setting)) for each in (old, new))
        if canonical(before) != canonical(after):
            if setting == "lifecycle.maxLeaseExtensions":
                before, after = _hold(old), _hold(new)
            if before == after or _of_another_profile(setting, old, new):
                continue
            yield _rule(kind, setting, before, after), setting, before, after


def _rule(kind: str, setting: str, before: Any, after: Any) -> str:
    judge = _OF_KIND.get((kind, setting)) or _EXACT.get(setting)
    if judge is None:
        judge = next((j for prefix, j in _UNDER.items() if setting.startswith(prefix)), None)
    return (judge(before, after) if judge else None) or "setting-changed"


def _of_another_profile(setting: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether a setting is a profile's that is there only once."""
    within = setting.startswith("executionProfile.") and setting != _PROFILE
    return within and old.get(_PROFILE) != new.get(_PROFILE)


def _more(less: str, more: str) -> Judge:
    """Judge a number: ``less`` where it went down, ``more`` where it went up."""

    def judge(before: Any, after: Any) -> str | None:
        if not isinstance(before, int | float) or not isinstance(after, int | float):
            return None
        return less if after < before else more

    return judge


def _rank(order: tuple[Any, ...], less: str, more: str) -> Judge:
    """Judge a choice by its place in ``order``, weakest first."""

    def judge(before: Any, after: Any) -> str | None:
        if before not in order or after not in order:
            return None
        return less if order.index(after) < order.index(before) else more

    return judge


def _always(rule: str) -> Judge:
    return lambda _before, _after: rule


def _result_event(before: Any, after: Any) -> str:
    if before is None:
        return "result-event-added"
    return "result-event-removed" if after is None else "result-event-renamed"


def _parallel(before: Any, after: Any) -> str:
    """Judge how many jobs may run at once; None is no limit."""
    more = before is not None and (after is None or after > before)
    return "parallelism-raised" if more else "parallelism-lowered"


def _profile(before: Any, _after: Any) -> str:
    return "profile-added" if before is None else "profile-removed"


def _edge(edge: str) -> Judge:
    return lambda _before, after: f"{edge}-removed" if after is None else f"{edge}-added"


def _idempotency_key(_before: Any, after: Any) -> str:
    return "idempotency-loosened" if after in (None, "none") else "idempotency-key-changed"


def _mode(before: Any, after: Any) -> str | None:
    """Judge a result policy's mode: does it still include the event?"""
    told, tells = ("event" in str(mode).split("-") for mode in (before, after))
    if told == tells:
        return None
    return "result-event-removed" if told else "result-event-added"


def _hold(settings: Mapping[str, Any]) -> float:
    lease, extensions = (
        settings.get(name, _DEFAULTS[name])
        for name in ("lifecycle.visibilityTimeoutMs", "lifecycle.maxLeaseExtensions")
    )
    return float(lease) * (1 + float(extensions))


_ordering = _rank(("none", "partition", "fifo"), "ordering-weakened", "ordering-strengthened")
_false_is_less = (False, True)

_EXACT: Mapping[str, Judge] = {
    "lifecycle.visibilityTimeoutMs": _more("lease-shortened", "lease-lengthened"),
    # Of the lease and its extensions together.
    "lifecycle.maxLeaseExtensions": _more("hold-shortened", "hold-lengthened"),
    "lifecycle.heartbeatIntervalMs": _always("heartbeat-changed"),
    "lifecycle.autoHeartbeat": _rank(_false_is_less, "heartbeat-dropped", "heartbeat-taken-over"),
    "lifecycle.retryWindowMs": _more("retry-window-shortened", "retry-window-lengthened"),
    "lifecycle.maxAttempts": _more("attempts-reduced", "attempts-raised"),
    _PROFILE: _profile,
    "executionProfile.maxRuntimeMs": _more("runtime-shortened", "runtime-lengthened"),
    "resultPolicy.delivery": _rank(
        ("best-effort", "required"), "delivery-weakened", "delivery-strengthened"
    ),
    "resultPolicy.mode": _mode,
    "resultPolicy.successEventName": _result_event,
    "resultPolicy.failureEventName": _result_event,
    "resultPolicy.cancelledEventName": _result_event,
    "resultPolicy.deadLetterEventName": _result_event,
    "resultPolicy.progressEventName": _result_event,
    "resultPolicy.emitProgressEvents": _result_event,
    "maxParallel": _parallel,
    "priority": _always("priority-changed"),
    "eventBridgeConfig.durable": _rank(
        _false_is_less, "delivery-weakened", "delivery-strengthened"
    ),
    "eventBridgeConfig.autoacknowledge": _rank(
        (True, False), "delivery-weakened", "delivery-strengthened"
    ),
    "queueBridgeConfig.orderingGuarantee": _ordering,
    "ordering": _ordering,
    "deadLetter.queueName": _always("dead-letter-moved"),
    "idempotencyMode": _rank(
        ("advisory", "strict"), "idempotency-loosened", "idempotency-tightened"
    ),
    "idempotencyKey": _idempotency_key,
    "timezone": _always("schedule-moved"),
    "jitterWindowMs": _always("schedule-moved"),
    "targetKind": _always("schedule-retargeted"),
    "targetName": _always("schedule-retargeted"),
    "targetServiceName": _always("schedule-retargeted"),
    "targetServiceVersion": _always("schedule-retargeted"),
    "missedRunPolicy": _rank(
        ("skip", "runOnce", "backfill"), "missed-runs-weakened", "missed-runs-strengthened"
    ),
    "maxCatchUpCount": _more("missed-runs-weakened", "missed-runs-strengthened"),
    "concurrencyPolicy": _always("schedule-overlap-changed"),
    "schedulerGroup": _always("schedule-group-moved"),
    "enabledByDefault": _rank(_false_is_less, "schedule-disabled", "schedule-enabled"),
}

#: Settings that mean something else in one kind of contract.
_OF_KIND: Mapping[tuple[str, str], Judge] = {
    ("subscription", "eventName"): _always("subscription-moved"),
    ("command", "eventName"): _result_event,
    ("worker", "queueName"): _always("worker-moved"),
    ("worker", "mode"): _always("worker-tuned"),
    ("worker", "intervalMs"): _always("worker-tuned"),
    ("worker", "maxParallelHandlers"): _always("worker-tuned"),
}

_UNDER: Mapping[str, Judge] = {
    "lifecycle.retryStrategy.": _always("retry-delays-changed"),
    "expression.": _always("schedule-moved"),
    "emitList.": _edge("emission"),
    "emits.": _edge("emission"),
    "queueInvokes.": _edge("use"),
    "enqueues.": _edge("use"),
    "invokes.": _edge("use"),
    "streamInvokes.": _edge("use"),
    "metadata.expose.http.": _always("http-changed"),
    "http.": _always("http-changed"),
}
