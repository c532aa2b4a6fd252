"""For each rule a pair of contract versions that it is about."""

from __future__ import annotations

from copy import deepcopy
from typing import Any


def fields(required: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    """Return the schema of an object."""
    return {"type": "object", "properties": properties, "required": list(required)}


def text(**keywords: Any) -> dict[str, Any]:
    return {"type": "string", **keywords}


def number(**keywords: Any) -> dict[str, Any]:
    return {"type": "integer", **keywords}


CARD = fields(("kind", "card"), kind={"const": "card"}, card=text())
BANK = fields(("kind", "iban"), kind={"const": "bank"}, iban=text())
OPEN = {**fields(n=number()), "additionalProperties": True}
CLOSED = {**fields(n=number()), "additionalProperties": False}

#: Rule -> a message's schema before and after.
MESSAGES: dict[str, tuple[Any, Any]] = {
    "required-field-added": (fields(a=text()), fields(("b",), a=text(), b=text())),
    "required-field-removed": (fields(("b",), a=text(), b=text()), fields(a=text())),
    "optional-field-added": (fields(a=text()), fields(a=text(), b=text())),
    "optional-field-removed": (fields(a=text(), b=text()), fields(a=text())),
    "field-made-required": (fields(a=text()), fields(("a",), a=text())),
    "field-made-optional": (fields(("a",), a=text()), fields(a=text())),
    "field-refused": (OPEN, CLOSED),
    "field-sent-to-closed": (CLOSED, OPEN),
    "open-field-named": (OPEN, {**OPEN, "properties": {"n": number(), "m": number()}}),
    "open-field-unnamed": ({**OPEN, "properties": {"n": number(), "m": number()}}, OPEN),
    "type-narrowed": ({"type": "number"}, number()),
    "type-widened": (number(), {"type": "number"}),
    "type-changed": (number(), text()),
    "null-refused": ({"anyOf": [text(), {"type": "null"}]}, text()),
    "null-allowed": (text(), {"anyOf": [text(), {"type": "null"}]}),
    "enum-narrowed": ({"enum": ["a", "b"]}, {"enum": ["a"]}),
    "enum-widened": ({"enum": ["a"]}, {"enum": ["a", "b"]}),
    "enum-changed": ({"enum": ["a", "b"]}, {"enum": ["a", "c"]}),
    "variant-removed": ({"oneOf": [CARD, BANK]}, CARD),
    "variant-added": (CARD, {"oneOf": [CARD, BANK]}),
    "variant-changed": (
        {"oneOf": [CARD, BANK]},
        {"oneOf": [CARD, fields(("kind",), kind={"const": "cash"})]},
    ),
    "bounds-tightened": (number(minimum=0), number(minimum=1)),
    "bounds-loosened": (text(maxLength=5), text(maxLength=6)),
    "bounds-moved": (number(minimum=0, maximum=9), number(minimum=1, maximum=10)),
    "pattern-added": (text(), text(pattern="^a")),
    "pattern-removed": (text(pattern="^a"), text()),
    "pattern-changed": (text(pattern="^a"), text(pattern="^a+")),
    "format-added": (text(), text(format="date-time")),
    "format-removed": (text(format="uuid"), text()),
    "format-changed": (text(format="date"), text(format="date-time")),
    "unchecked-format-added": (text(), text(format="x-iban")),
    "unchecked-format-removed": (text(format="x-iban"), text()),
    "unchecked-format-changed": (text(format="x-iban"), text(format="x-bic")),
    "default-changed": (fields(a=text(default="x")), fields(a=text(default="y"))),
    "keyword-changed": (
        {**fields(a=text()), "dependentRequired": {"a": ["b"]}},
        {**fields(a=text()), "dependentRequired": {"a": ["c"]}},
    ),
    "documentation-changed": (text(title="A"), text(title="B", description="new")),
    "rewritten": ({"anyOf": [number(), text()]}, {"type": ["integer", "string"]}),
}

LEASE = {
    "visibilityTimeoutMs": 900_000,
    "maxLeaseExtensions": 3,
    "heartbeatIntervalMs": 300_000,
    "autoHeartbeat": True,
    "retryWindowMs": 86_400_000,
    "maxAttempts": 10,
    "retryStrategy": {"initialDelayMs": 1000, "maxDelayMs": 120_000, "multiplier": 2},
}
QUEUE = {
    "queueName": "close",
    "description": "Close a month",
    "payloadSchema": fields(("month",), month=text()),
    "lifecycle": LEASE,
    "executionProfile": {"name": "longRunning", "maxRuntimeMs": 21_600_000, "strict": False},
    "resultPolicy": {
        "mode": "event",
        "successEventName": "closed",
        "failureEventName": "notClosed",
        "delivery": "required",
    },
    "queueBridgeConfig": {"orderingGuarantee": "partition", "prefetch": 1},
    "deadLetter": {"queueName": "close.dead"},
    "maxParallel": 4,
    "deprecated": False,
}
SERVICE: dict[str, Any] = {
    "description": "Books",
    "deprecated": False,
    "events": {"due": {"eventName": "due", "payloadSchema": {"type": "null"}}},
    "queues": {"close": QUEUE},
    "queueWorkers": {
        "closer": {
            "name": "closer",
            "queueName": "close",
            "emitList": {"due": {"type": "null"}},
            "queueInvokes": {"other": {"payloadSchema": text()}},
        },
        "second": {"name": "second", "queueName": "close"},
    },
    "subscriptions": {
        "hear": {
            "subscriptionName": "hear",
            "eventName": "elsewhere.happened",
            "metadata": {"expose": {"inputPayload": fields(("a",), a=text())}},
            "eventBridgeConfig": {"durable": True, "autoacknowledge": False, "shared": True},
        }
    },
    "eventToQueueBindings": [
        {
            "eventName": "due",
            "queueName": "close",
            "idempotencyMode": "strict",
            "idempotencyKey": "messageId",
        }
    ],
    "commands": {
        "ask": {
            "commandName": "ask",
            "metadata": {
                "expose": {"inputPayload": text(), "http": {"method": "POST", "path": "ask"}}
            },
        }
    },
    "streams": {"follow": {"metadata": {"expose": {"chunkPayload": text()}}}},
    "schedules": {
        "monthly": {
            "name": "monthly",
            "expression": {"kind": "cron", "value": "0 2 1 * *"},
            "timezone": "Europe/Berlin",
            "targetKind": "event",
            "targetName": "due",
            "missedRunPolicy": "runOnce",
            "concurrencyPolicy": "forbid",
            "schedulerGroup": "books",
            "enabledByDefault": True,
        }
    },
}


def export(service: Any, **others: Any) -> dict[str, Any]:
    """Return an export of one service, a copy that may be changed."""
    named = {"books": {"1": service}, **{name: {"1": other} for name, other in others.items()}}
    return deepcopy({"version": "2.2.0", "services": named})


def edited(path: str, value: Any = None) -> dict[str, Any]:
    """Return the service with what ``path`` names set to ``value``, or gone where it is None."""
    service = deepcopy(SERVICE)
    *above, last = path.split("/")
    node: Any = service
    for key in above:
        node = node[int(key)] if isinstance(node, list) else node[key]
    if value is not None:
        node[last] = value
    elif isinstance(node, list):
        del node[int(last)]
    else:
        del node[last]
    return service


_QUEUE, _SCHEDULE = "queues/close", "schedules/monthly"
_BINDING, _SUBSCRIPTION = "eventToQueueBindings/0", "subscriptions/hear"

#: Rule -> the service with the change that makes it, from ``SERVICE``.
CHANGES: dict[str, dict[str, Any]] = {
    "event-added": edited("events/new", {"eventName": "new"}),
    "event-removed": edited("events/due"),
    "queue-added": edited("queues/new", {"queueName": "new"}),
    "queue-removed": edited("queues/close"),
    "worker-added": edited("queueWorkers/third", {"queueName": "close"}),
    "worker-removed": edited("queueWorkers/second"),
    "queue-abandoned": edited("queueWorkers", {}),
    "worker-moved": edited("queueWorkers/second/queueName", "elsewhere"),
    "worker-tuned": edited("queueWorkers/second/maxParallelHandlers", 4),
    "subscription-added": edited("subscriptions/new", {"eventName": "x"}),
    "subscription-removed": edited(_SUBSCRIPTION),
    "subscription-moved": edited(f"{_SUBSCRIPTION}/eventName", "elsewhere.other"),
    "binding-removed": edited(_BINDING),
    "command-added": edited("commands/tell", {"commandName": "tell"}),
    "command-removed": edited("commands/ask"),
    "http-changed": edited("commands/ask/metadata/expose/http/path", "tell"),
    "stream-added": edited("streams/new", {}),
    "stream-removed": edited("streams/follow"),
    "schedule-added": edited("schedules/new", {"name": "new"}),
    "schedule-removed": edited(_SCHEDULE),
    "schedule-retargeted": edited(f"{_SCHEDULE}/targetName", "other"),
    "schedule-moved": edited(f"{_SCHEDULE}/expression/value", "0 3 1 * *"),
    "schedule-disabled": edited(f"{_SCHEDULE}/enabledByDefault", value=False),
    "schedule-overlap-changed": edited(f"{_SCHEDULE}/concurrencyPolicy", "allow"),
    "schedule-group-moved": edited(f"{_SCHEDULE}/schedulerGroup", "default"),
    "missed-runs-weakened": edited(f"{_SCHEDULE}/missedRunPolicy", "skip"),
    "missed-runs-strengthened": edited(f"{_SCHEDULE}/missedRunPolicy", "backfill"),
    "lease-shortened": edited(f"{_QUEUE}/lifecycle/visibilityTimeoutMs", 300_000),
    "lease-lengthened": edited(f"{_QUEUE}/lifecycle/visibilityTimeoutMs", 1_800_000),
    "hold-shortened": edited(f"{_QUEUE}/lifecycle/maxLeaseExtensions", 1),
    "hold-lengthened": edited(f"{_QUEUE}/lifecycle/maxLeaseExtensions", 5),
    "heartbeat-changed": edited(f"{_QUEUE}/lifecycle/heartbeatIntervalMs", 1000),
    "heartbeat-dropped": edited(f"{_QUEUE}/lifecycle/autoHeartbeat", value=False),
    "profile-removed": edited(f"{_QUEUE}/executionProfile"),
    "priority-changed": edited(f"{_QUEUE}/priority", 9),
    "runtime-shortened": edited(f"{_QUEUE}/executionProfile/maxRuntimeMs", 3_600_000),
    "runtime-lengthened": edited(f"{_QUEUE}/executionProfile/maxRuntimeMs", 36_000_000),
    "attempts-reduced": edited(f"{_QUEUE}/lifecycle/maxAttempts", 3),
    "attempts-raised": edited(f"{_QUEUE}/lifecycle/maxAttempts", 11),
    "retry-window-shortened": edited(f"{_QUEUE}/lifecycle/retryWindowMs", 3_600_000),
    "retry-window-lengthened": edited(f"{_QUEUE}/lifecycle/retryWindowMs", 90_000_000),
    "retry-delays-changed": edited(f"{_QUEUE}/lifecycle/retryStrategy/multiplier", 3),
    "parallelism-raised": edited(f"{_QUEUE}/maxParallel", 8),
    "parallelism-lowered": edited(f"{_QUEUE}/maxParallel", 2),
    "ordering-weakened": edited(f"{_QUEUE}/queueBridgeConfig/orderingGuarantee", "none"),
    "ordering-strengthened": edited(f"{_QUEUE}/queueBridgeConfig/orderingGuarantee", "fifo"),
    "delivery-weakened": edited(f"{_QUEUE}/resultPolicy/delivery", "best-effort"),
    "idempotency-loosened": edited(f"{_BINDING}/idempotencyMode", "advisory"),
    "idempotency-key-changed": edited(f"{_BINDING}/idempotencyKey", "correlationId"),
    "result-event-added": edited(f"{_QUEUE}/resultPolicy/cancelledEventName", "cancelled"),
    "result-event-removed": edited(f"{_QUEUE}/resultPolicy/failureEventName"),
    "result-event-renamed": edited(f"{_QUEUE}/resultPolicy/successEventName", "done"),
    "dead-letter-moved": edited(f"{_QUEUE}/deadLetter/queueName", "elsewhere"),
    "emission-added": edited("queueWorkers/closer/emitList/new", text()),
    "emission-removed": edited("queueWorkers/closer/emitList/due"),
    "use-added": edited("queueWorkers/closer/queueInvokes/new", {"payloadSchema": text()}),
    "use-removed": edited("queueWorkers/closer/queueInvokes/other"),
    "deprecated": edited(f"{_QUEUE}/deprecated", value=True),
    "documentation-changed": edited(f"{_QUEUE}/description", "Close it"),
    "requirement-dropped": edited(
        f"{_SUBSCRIPTION}/metadata/expose/inputPayload", fields(a=text())
    ),
    "setting-changed": edited(f"{_QUEUE}/queueBridgeConfig/prefetch", 5),
}

#: Rules that are another one the other way around.
REVERSED = {
    "binding-added": "binding-removed",
    "schedule-enabled": "schedule-disabled",
    "heartbeat-taken-over": "heartbeat-dropped",
    "delivery-strengthened": "delivery-weakened",
    "idempotency-tightened": "idempotency-loosened",
    "undeprecated": "deprecated",
    "profile-added": "profile-removed",
}
