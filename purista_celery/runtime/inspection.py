"""Asking the live broker and ledger what they keep; the answers are :mod:`exports.facts`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import redis
from kombu.entity import Queue as BrokerQueue

from purista_celery.errors import PuristaError
from purista_celery.exports.facts import BrokerFacts, RedisFacts
from purista_celery.ledger.connection import available
from purista_celery.outages import BROKER
from purista_celery.producer.events import BROKER_ERRORS, unaccepted
from purista_celery.refusals import unsupported
from purista_celery.runtime.runtime import Runtime

log = logging.getLogger(__name__)


def ledger_facts(runtime: Runtime) -> RedisFacts:
    """Ask the ledger's Redis.

    Raises:
        LedgerUnavailable: it does not answer, or takes nothing.
        LedgerForbidden: it does not let its user ask; this is the above, too.
        UnsupportedServer: it is a node of a cluster, or a sentinel.
    """
    with available():
        return redis_facts(runtime.ledger.client)


def broker_facts(runtime: Runtime) -> BrokerFacts:
    """Ask the broker.

    Raises:
        BrokerUnavailable: it does not answer, or takes nothing.
        BrokerForbidden: it does not let its user ask; this is the above, too.
        UnsupportedServer: it is a node of a Redis Cluster, or a sentinel.
    """
    try:
        found = _broker_facts(runtime)
    except BROKER_ERRORS as error:
        raise unaccepted("The broker could not be asked what it keeps", error) from error
    BROKER.ends()
    return found


def _broker_facts(runtime: Runtime) -> BrokerFacts:
    queues = _queues(runtime)
    with runtime.app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0)
        properties = getattr(connection.connection, "server_properties", None)
        if not isinstance(properties, dict):
            found = redis_facts(connection.default_channel.client)
            return BrokerFacts(
                product="Redis",
                version=found.version,
                redis=found,
                queue_types={queue.name: "list" for queue in queues},
            )
        confirming = runtime.app.conf.broker_transport_options.get("confirm_publish", False)
        able = properties.get("capabilities", {}).get("publisher_confirms", False)
        return BrokerFacts(
            product=str(properties.get("product", "AMQP")),
            version=_version(str(properties.get("version", "0"))),
            publisher_confirms=bool(confirming and able),
            queue_types={queue.name: _queue_type(connection, queue) for queue in queues},
        )


def reachable(runtime: Runtime) -> tuple[RedisFacts | None, BrokerFacts | None]:
    """Ask both; None stands for what does not answer."""
    ledger: RedisFacts | None = None
    broker: BrokerFacts | None = None
    try:
        ledger = ledger_facts(runtime)
    except (PuristaError, redis.RedisError) as error:
        log.warning("The ledger could not be asked: %s", error)
    try:
        broker = broker_facts(runtime)
    except PuristaError as error:
        log.warning("The broker could not be asked: %s", error)
    return ledger, broker


def redis_facts(client: Any) -> RedisFacts:
    """Ask a Redis; ``INFO`` is answered where ``CONFIG`` is forbidden."""
    info: Mapping[str, Any] = client.info()
    if (mode := str(info.get("redis_mode", "standalone"))) != "standalone":
        raise unsupported(f"its mode is {mode!r}")
    save = _setting(client, "save")
    return RedisFacts(
        version=_version(str(info["redis_version"])),
        eviction_policy=str(info.get("maxmemory_policy", "unknown")),
        append_only=bool(info.get("aof_enabled")) and info.get("aof_last_write_status") == "ok",
        snapshots=None if save is None else bool(save),
        role=str(info.get("role", "unknown")),
        replicas=int(info.get("connected_slaves", 0)),
        min_replicas=_min_replicas(client, info),
        append_fsync=_setting(client, "appendfsync"),
        fsyncs_in_rewrites=_setting(client, "no-appendfsync-on-rewrite") != "yes",
        run_id=str(info.get("run_id", "")),
    )


def _setting(client: Any, name: str) -> str | None:
    """Return a setting of a Redis; None where it does not tell."""
    try:
        answer = client.config_get(name)
    except redis.ResponseError:
        return None
    # A client of Kombu's does not decode what it reads.
    said = answer.get(name, answer.get(name.encode()))
    return said.decode() if isinstance(said, bytes) else said


def _min_replicas(client: Any, info: Mapping[str, Any]) -> int | None:
    said = _setting(client, "min-replicas-to-write")
    if said is not None:
        return int(said)
    # ``INFO`` counts the good ones where the setting asks for any.
    return 1 if "min_slaves_good_slaves" in info else None


def _queues(runtime: Runtime) -> list[BrokerQueue]:
    return [*(runtime.app.conf.task_queues or ()), *runtime.inboxes.values()]


def _queue_type(connection: Any, queue: BrokerQueue) -> str:
    """Return whether a queue is what we declare, which AMQP tells by declaring it once more."""
    if not _declares(connection, queue, passive=True):
        return "absent"
    if not _declares(connection, queue, passive=False):
        return "different"
    arguments: Any = getattr(queue, "queue_arguments", None) or {}
    return str(arguments.get("x-queue-type", "classic"))


def _declares(connection: Any, queue: BrokerQueue, *, passive: bool) -> bool:
    try:
        with connection.channel() as channel:
            queue.bind(channel).queue_declare(passive=passive)
    except connection.channel_errors:
        return False
    return True


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
