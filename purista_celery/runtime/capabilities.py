"""What the contracts need and the live broker and ledger do not give."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from celery.worker.state import maybe_shutdown

from purista_celery.errors import (
    BrokerUnavailable,
    CapabilityMissing,
    LedgerUnavailable,
)
from purista_celery.exports.facts import (
    NOEVICTION,
    OLDEST_REDIS,
    BrokerFacts,
    Facts,
    Gap,
    RedisFacts,
    dotted,
)
from purista_celery.exports.needs import Need, needs_of
from purista_celery.ledger.connection import available
from purista_celery.producer.wiring import JobQueue
from purista_celery.refusals import is_final
from purista_celery.runtime.inspection import broker_facts, ledger_facts, reachable
from purista_celery.runtime.runtime import Runtime

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds between two attempts to ask servers that are away.
_ASK_EVERY = 1.0


def check(runtime: Runtime) -> None:
    """Warn of every gap; refuse to start where the settings or the contract are strict.

    Raises:
        CapabilityMissing: a strict contract needs what is not given.
        UnsupportedServer: broker or ledger is a node of a cluster, or a sentinel.
        PermissionDenied: broker or ledger does not let its user ask.
    """
    strict = runtime.settings.strict
    ledger, broker = _ask(runtime)
    found = _all_gaps(runtime, ledger, broker)
    for gap, _ in found:
        log.warning("Capability missing: %s", gap)
    weak = list(power_gaps(ledger, broker))
    for gap in weak:
        # Redis' own default: no reason for a warning, unless it was asked for.
        log.log(logging.WARNING if strict else logging.INFO, "At a power loss: %s", gap)
    refused = [gap for gap, refuses in found if refuses or strict]
    if refused := [*refused, *(weak if strict else ())]:
        raise CapabilityMissing("; ".join(str(gap) for gap in refused))


def _ask(runtime: Runtime) -> tuple[RedisFacts, BrokerFacts]:
    patiently(lambda: _await_disk(runtime))
    ledger, broker = patiently(lambda: (ledger_facts(runtime), broker_facts(runtime)))
    # Whoever may ask for facts may still have no right to the keys, or to a script.
    patiently(lambda: runtime.ledger.workers.look(runtime.settings.liveness_ttl))
    return ledger, broker


def _await_disk(runtime: Runtime) -> None:
    """Take a ledger whose disk is full for one that is away: it is to be written to again."""
    with available():
        said: Any = runtime.ledger.client.info("persistence")
    if said.get("aof_enabled") and said.get("aof_last_write_status", "ok") != "ok":
        raise LedgerUnavailable(
            "The ledger can not write its append-only file. Make room on its disk; it is asked "
            "again and again."
        )


def patiently(ask: Callable[[], T]) -> T:
    """Return what a worker that starts asks, and wait for its servers: in an outage it is needed
    after it.

    Raises:
        ConfigurationError: there is nothing to wait for: a server of another kind, or one that
            does not let us.
    """
    said = False
    while True:
        try:
            return ask()
        except (LedgerUnavailable, BrokerUnavailable) as error:
            if is_final(error):
                raise
            # Once: that, and when, they take commands again is said where it is noticed.
            log.log(
                logging.DEBUG if said else logging.WARNING,
                "The worker waits for its ledger and its broker: %s",
                error,
            )
            said = True
            # A worker that is told to stop meanwhile does.
            maybe_shutdown()
            time.sleep(_ASK_EVERY)
            maybe_shutdown()


def inspect(runtime: Runtime) -> Facts:
    """Ask broker and ledger; what does not answer is None, and that is no error."""
    ledger, broker = reachable(runtime)
    if ledger is None or broker is None:
        return Facts(ledger=ledger, broker=broker)
    gaps_found = tuple(gap for gap, _ in _all_gaps(runtime, ledger, broker))
    weak = tuple(power_gaps(ledger, broker))
    return Facts(ledger=ledger, broker=broker, gaps=(*gaps_found, *weak))


def ledger_gaps(ledger: RedisFacts) -> Iterator[Gap]:
    """Return what keeps the ledger from remembering every job."""
    if ledger.version < OLDEST_REDIS:
        yield Gap("The ledger", "Redis 6.2 or newer", f"This is {dotted(ledger.version)}.")
    if ledger.role != "master":
        yield Gap(
            "The ledger",
            "a Redis that takes writes",
            f"Its role is {ledger.role}; point PURISTA_LEDGER_URL at the primary.",
        )
    yield from _forgetting("The ledger", ledger)


def broker_gaps(broker: BrokerFacts, ledger: RedisFacts) -> Iterator[Gap]:
    """Return what keeps the broker from remembering every event, if it is not the ledger too."""
    if broker.redis is not None and broker.redis.run_id != ledger.run_id:
        yield from _forgetting("The broker", broker.redis)
    for name, kind in broker.queue_types.items():
        if kind == "different":
            yield Gap(
                f"Broker queue {name!r}",
                "to be a quorum queue of ours",
                "It exists with other properties. Delete it once it is empty, or take another "
                "PURISTA_NAMESPACE.",
            )


def power_gaps(ledger: RedisFacts, broker: BrokerFacts) -> Iterator[Gap]:
    """Return what a power loss may cost, where the rest is kept over a restart."""
    yield from _losing_power("The ledger", ledger)
    if broker.redis is not None and broker.redis.run_id != ledger.run_id:
        yield from _losing_power("The broker", broker.redis)


def gaps(queue: JobQueue, ledger: RedisFacts, broker: BrokerFacts) -> Iterator[Gap]:
    """Return what one queue needs beyond that."""
    for gap, _ in _gaps(queue, ledger, broker):
        yield gap


def _all_gaps(runtime: Runtime, ledger: RedisFacts, broker: BrokerFacts) -> list[tuple[Gap, bool]]:
    """Return each gap, and whether a worker is not to start with it."""
    found = [(gap, False) for gap in (*ledger_gaps(ledger), *broker_gaps(broker, ledger))]
    for queue in runtime.served:
        found += _gaps(queue, ledger, broker)
    return found


def _gaps(queue: JobQueue, ledger: RedisFacts, broker: BrokerFacts) -> Iterator[tuple[Gap, bool]]:
    for need in needs_of(queue.contract):
        remedy = _remedy(need, ledger, broker)
        if remedy is not None:
            yield Gap(need.contract, need.text, remedy), need.strict


def _remedy(need: Need, ledger: RedisFacts, broker: BrokerFacts) -> str | None:
    """Return what to do about a need; None where it is met."""
    name = f"{broker.product} {dotted(broker.version)}"
    match need.kind:
        case "idempotency" if not ledger.durable:
            return " ".join(gap.remedy for gap in _forgetting("The ledger", ledger))
        case "priorities" if not broker.has_priorities:
            return f"Quorum queues of {name} have none; take 4.0."
        case "consumer-timeout" if not broker.honours_consumer_timeout:
            return (
                f"{name} ignores x-consumer-timeout: upgrade to 3.12, or raise consumer_timeout in "
                f"its configuration and drop strict."
            )
    return None


def _forgetting(who: str, server: RedisFacts) -> Iterator[Gap]:
    if server.eviction_policy != NOEVICTION:
        yield Gap(
            who,
            "a Redis that forgets nothing",
            f"Its maxmemory-policy is {server.eviction_policy}; set it to noeviction.",
        )
    if not server.append_only:
        yield Gap(
            who,
            "a Redis that keeps its data over a restart",
            "It has no append-only file that it can write; set appendonly to yes.",
        )


def _losing_power(who: str, server: RedisFacts) -> Iterator[Gap]:
    if not server.append_only or server.survives_power_loss:
        return
    found = (
        f"Its appendfsync is {server.append_fsync}, so it may lose {server.lost_at_power_loss};"
        if server.append_fsync
        else "Its appendfsync is not told: let its user run CONFIG GET,"
    )
    paused = "" if server.fsyncs_in_rewrites else " and no-appendfsync-on-rewrite to no"
    yield Gap(
        who,
        "a Redis that keeps what it has accepted when its machine loses power",
        f"{found} set appendfsync to always{paused}, or give it a replica and set "
        "min-replicas-to-write to 1.",
    )
