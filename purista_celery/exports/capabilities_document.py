"""The capability report: what PURISTA's bridges promise, as far as it is so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from purista_celery.contracts.service import Service
from purista_celery.exports.document import ordered
from purista_celery.exports.facts import BrokerFacts, Facts, RedisFacts, dotted
from purista_celery.exports.needs import needs

#: PURISTA's version of the report's form.
_VERSION = "1.0.0"

EVENT_BRIDGE = "CeleryEventBridge"
QUEUE_BRIDGE = "CeleryQueueBridge"


@dataclass(frozen=True, slots=True)
class _Given:
    """What all flags follow from."""

    #: The ledger is there, and its scripts run on it.
    ledger: bool
    #: The broker is there.
    broker: bool
    #: What the ledger accepts outlives its process; what a power loss costs is a fact of its own.
    ledger_durable: bool
    #: What the broker accepts does.
    broker_durable: bool
    priorities: bool

    @classmethod
    def by(cls, facts: Facts | None) -> _Given:
        if facts is None:
            # What holds on every broker and ledger that a worker starts on; nothing else is known.
            return cls(
                ledger=True,
                broker=True,
                ledger_durable=False,
                broker_durable=False,
                priorities=False,
            )
        ledger, broker = facts.ledger, facts.broker
        usable = ledger is not None and ledger.usable
        return cls(
            ledger=usable,
            broker=broker is not None,
            ledger_durable=usable and ledger is not None and ledger.durable,
            broker_durable=broker is not None and broker.durable,
            priorities=broker is not None and broker.has_priorities,
        )


def capabilities(services: Iterable[Service], *, facts: Facts | None = None) -> dict[str, Any]:
    """Return PURISTA's runtime capability report.

    Args:
        facts: what the live servers say, for mode ``runtime-inspect``; ``app.purista.inspect()``
            asks them. Without it, in mode ``definition-only``, only that is claimed which holds on
            every broker and ledger.

    Returns:
        Plain data: PURISTA's fields, the needs of the contracts, and in mode ``runtime-inspect``
        what the servers say and what is missing. No address and no credentials.
    """
    given = _Given.by(facts)
    report: dict[str, Any] = {
        "version": _VERSION,
        "mode": "definition-only" if facts is None else "runtime-inspect",
        "eventBridge": {"name": EVENT_BRIDGE, "capabilities": _event_bridge(given)},
        "queueBridge": {
            "name": QUEUE_BRIDGE,
            "capabilities": _queue_bridge(given),
            "longRunning": {
                "leaseExtension": given.ledger,
                "leaseInspection": given.ledger,
                "strictStartupValidation": given.ledger and given.broker,
            },
            "idempotency": {"enforced": given.ledger_durable, "exactlyOnce": False},
            "resultPolicies": {
                "event": given.ledger and given.broker,
                "state": False,
                "stateAndEvent": False,
            },
        },
        "needs": [
            {"contract": need.contract, "need": need.text, "strict": need.strict}
            for need in needs(services)
        ],
    }
    if facts is not None:
        report["broker"] = _broker(facts.broker)
        report["ledger"] = _ledger(facts.ledger)
        report["gaps"] = [asdict(gap) for gap in facts.gaps]
    return dict(ordered(report))


def _event_bridge(given: _Given) -> dict[str, Any]:
    strict = given.ledger and given.broker
    return {
        "supportsStreams": False,
        "durableCommands": given.ledger_durable,
        # An event waits in the broker, and then as a job in the ledger.
        "durableSubscriptions": given.broker_durable and given.ledger_durable,
        "manualAckSupported": given.broker,
        # An answer is a record that its caller reads; nothing arrives late.
        "lateResponseHandling": "not-applicable",
        "gracefulDrainSupported": given.ledger and given.broker,
        "nativeDeadLettering": False,
        "commandHandling": {
            "transport": "request-reply",
            "pendingInvocationCancellation": given.ledger,
            "responseConfirmation": "protocol-level" if given.ledger else "none",
            "strictMode": strict,
        },
        "streamHandling": {
            "incrementalDelivery": False,
            "consumerCancellation": False,
            "gracefulStreamDrain": False,
            "aggregatedFinalSupported": False,
            "lateFrameHandling": "not-applicable",
        },
        "consumerFailureHandling": {
            "boundedRetry": given.ledger,
            "delayedRetry": given.ledger,
            "deadLetterTarget": False,
            "drop": False,
            "stopConsumer": given.ledger,
            "consumerPauseResume": given.ledger,
            "bridgeManagedDeadLettering": given.ledger,
            "nativeDeadLettering": False,
            "fatalClassification": given.ledger,
            "strictMode": strict,
        },
    }


def _queue_bridge(given: _Given) -> dict[str, Any]:
    return {
        "delayedDelivery": given.ledger,
        "fifoOrdering": given.ledger,
        "partitions": given.ledger,
        "partitionOrdering": given.ledger,
        "priorities": given.priorities,
        "exactlyOnce": False,
        # Dead letters are the ledger's, whatever the broker has.
        "deadLetterNative": False,
        "maxBatchSize": 1,
        "defaultDeadLetterPrefix": "",
        "defaultDeadLetterSuffix": "",
        "deadLetterInspectable": given.ledger,
        "deadLetterInspectSupported": given.ledger,
        "deadLetterReplaySupported": given.ledger,
        "deadLetterPurgeSupported": given.ledger,
        "leaseInspectionSupported": given.ledger,
        "idempotencyEnforcement": given.ledger_durable,
        "providerManagedDelayedDelivery": given.ledger,
        "strictStartupValidation": given.ledger and given.broker,
    }


def _broker(broker: BrokerFacts | None) -> dict[str, Any]:
    if broker is None:
        return {"connected": False}
    return {
        "connected": True,
        "product": broker.product,
        "version": dotted(broker.version),
        "durable": broker.durable,
        "publisherConfirms": broker.publisher_confirms,
        "consumerTimeoutPerQueue": broker.honours_consumer_timeout,
        "queueTypes": dict(broker.queue_types),
        **({} if broker.redis is None else {"redis": _redis(broker.redis)}),
    }


def _ledger(ledger: RedisFacts | None) -> dict[str, Any]:
    if ledger is None:
        return {"connected": False}
    return {"connected": True, "durable": ledger.durable, **_redis(ledger)}


def _redis(redis: RedisFacts) -> dict[str, Any]:
    return {
        "version": dotted(redis.version),
        "evictionPolicy": redis.eviction_policy,
        "persistence": {
            "aof": redis.append_only,
            "rdb": redis.snapshots,
            "appendFsync": redis.append_fsync or "unknown",
            "lostAtPowerLoss": redis.lost_at_power_loss,
        },
        "replication": {
            "role": redis.role,
            "connectedReplicas": redis.replicas,
            "minReplicasToWrite": redis.min_replicas,
        },
    }
