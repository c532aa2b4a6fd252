"""The capability report over real servers: no flag claims what is not so."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from pydantic import BaseModel

from purista_celery import (
    Enqueue,
    EventMessage,
    Job,
    LongRunning,
    Service,
    Settings,
    compile_app,
    exports,
)
from purista_celery.errors import CapabilityMissing
from purista_celery.runtime import capabilities
from tests.support.processes import ROOT
from tests.support.servers import RedisServer, free_port, require_rabbitmq
from tests.support.waiting import until

Report = dict[str, Any]
ALWAYS = ("--appendfsync", "always")
SECRET = "hunter2-of-the-ledger"


class Item(BaseModel):
    n: int = 0


service = Service("cap")
happened = service.event("cap.happened", payload=Item)
urgent = service.queue("cap.urgent", payload=Item, priority=5)
long = service.queue(
    "cap.long", payload=Item, profile=LongRunning(max_runtime=timedelta(hours=2), strict=False)
)


@urgent.worker()
def run(job: Job[Item, None]) -> None: ...


@long.worker()
def run_long(job: Job[Item, None]) -> None: ...


@service.bind(happened, to=urgent, idempotency="strict")
def once(event: EventMessage[Item]) -> Enqueue[Item, None]:
    return Enqueue(event.payload)


def compiled(broker_url: str, ledger_url: str, **settings: Any) -> Celery:
    namespace = f"t{uuid.uuid4().hex[:10]}"
    return compile_app(
        [service],
        Settings(broker_url=broker_url, ledger_url=ledger_url, namespace=namespace, **settings),
    )


def report_of(broker_url: str, ledger_url: str) -> Report:
    with closing(compiled(broker_url, ledger_url)) as app:
        return exports.capabilities([service], facts=app.purista.inspect())


@pytest.fixture(scope="module")
def redis_with() -> Iterator[Callable[..., RedisServer]]:
    """Starts a Redis with options of its own."""
    with ExitStack() as stack:

        def start(*options: str) -> RedisServer:
            server = RedisServer(options=options).start()
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture(scope="module")
def reports(redis_with: Callable[..., RedisServer]) -> dict[str, Report]:
    """Reports over servers of each kind. ``silent`` ones do not answer."""
    durable = redis_with(*ALWAYS).url
    evicting = redis_with("--maxmemory-policy", "allkeys-lru").url
    volatile = redis_with("--appendonly", "no").url
    silent = f"redis://127.0.0.1:{free_port()}/0"
    return {
        "definitions": exports.capabilities([service]),
        "durable": report_of(durable, durable),
        "evicting": report_of(evicting, evicting),
        "volatile": report_of(volatile, volatile),
        "silent broker": report_of(silent, durable),
        "silent ledger": report_of(durable, silent),
        "volatile broker": report_of(volatile, durable),
    }


LEDGER_LOST = ("silent ledger",)
BROKER_LOST = ("silent broker",)
FORGETS = ("definitions", "evicting", "volatile", "silent ledger")
Q, E = "queueBridge.capabilities.", "eventBridge.capabilities."

#: Which reports do not have a flag; ``durable`` has it.
FLAGS: dict[str, Sequence[str]] = {
    **{
        Q + flag: LEDGER_LOST
        for flag in (
            *("delayedDelivery", "fifoOrdering", "partitions", "partitionOrdering"),
            *("deadLetterInspectable", "deadLetterInspectSupported", "deadLetterReplaySupported"),
            *("deadLetterPurgeSupported", "leaseInspectionSupported"),
            "providerManagedDelayedDelivery",
        )
    },
    Q + "idempotencyEnforcement": FORGETS,
    Q + "priorities": ("definitions", "silent broker"),
    Q + "strictStartupValidation": LEDGER_LOST + BROKER_LOST,
    "queueBridge.longRunning.leaseExtension": LEDGER_LOST,
    "queueBridge.longRunning.leaseInspection": LEDGER_LOST,
    "queueBridge.longRunning.strictStartupValidation": LEDGER_LOST + BROKER_LOST,
    "queueBridge.idempotency.enforced": FORGETS,
    "queueBridge.resultPolicies.event": LEDGER_LOST + BROKER_LOST,
    E + "durableCommands": FORGETS,
    E + "durableSubscriptions": (*FORGETS, "silent broker", "volatile broker"),
    E + "manualAckSupported": BROKER_LOST,
    E + "gracefulDrainSupported": LEDGER_LOST + BROKER_LOST,
    E + "commandHandling.pendingInvocationCancellation": LEDGER_LOST,
    E + "commandHandling.strictMode": LEDGER_LOST + BROKER_LOST,
    E + "consumerFailureHandling.strictMode": LEDGER_LOST + BROKER_LOST,
    **{
        E + "consumerFailureHandling." + flag: LEDGER_LOST
        for flag in (
            *("boundedRetry", "delayedRetry", "stopConsumer", "consumerPauseResume"),
            *("bridgeManagedDeadLettering", "fatalClassification"),
        )
    },
}

#: What this library does not do on any server.
NEVER = {
    Q + "exactlyOnce",
    Q + "deadLetterNative",
    "queueBridge.idempotency.exactlyOnce",
    "queueBridge.resultPolicies.state",
    "queueBridge.resultPolicies.stateAndEvent",
    E + "supportsStreams",
    E + "nativeDeadLettering",
    E + "streamHandling.incrementalDelivery",
    E + "streamHandling.consumerCancellation",
    E + "streamHandling.gracefulStreamDrain",
    E + "streamHandling.aggregatedFinalSupported",
    E + "consumerFailureHandling.deadLetterTarget",
    E + "consumerFailureHandling.drop",
    E + "consumerFailureHandling.nativeDeadLettering",
}


def flags(part: Any, path: str = "") -> dict[str, bool]:
    """Return all truth values of both bridges, by path."""
    if isinstance(part, bool):
        return {path.removeprefix("."): part}
    if not isinstance(part, dict):
        return {}
    return {k: v for key in part for k, v in flags(part[key], f"{path}.{key}").items()}


def of_bridges(report: Report) -> dict[str, bool]:
    return flags({key: report[key] for key in ("eventBridge", "queueBridge")})


@pytest.mark.parametrize("flag", sorted(FLAGS))
def test_a_flag_is_true_where_it_is_so_and_false_where_not(
    reports: dict[str, Report], flag: str
) -> None:
    """On servers that keep all they accept, and on such as evict, forget or do not answer."""
    came = {kind for kind, report in reports.items() if not of_bridges(report)[flag]}
    assert came == set(FLAGS[flag])


def test_no_flag_is_untested(reports: dict[str, Report]) -> None:
    """Each is in the table above, or is what nobody may count on."""
    for report in reports.values():
        found = of_bridges(report)
        assert found.keys() == FLAGS.keys() | NEVER
        assert not any(found[flag] for flag in NEVER)


def test_the_definitions_alone_say_what_is_needed(reports: dict[str, Report]) -> None:
    """And nothing of servers that nobody has asked."""
    report = reports["definitions"]
    assert (report["version"], report["mode"]) == ("1.0.0", "definition-only")
    assert report.keys() == {"version", "mode", "eventBridge", "queueBridge", "needs"}
    binding = "Binding 'eventToQueue:cap.happened:cap.urgent'"
    assert [(need["contract"], need["need"], need["strict"]) for need in report["needs"]] == [
        (binding, "idempotency keys that are never forgotten", True),
        ("Queue 'cap.long'", "unacknowledged messages of 2:00:00", False),
        ("Queue 'cap.urgent'", "priorities", False),
    ]


def test_the_live_report_shows_the_facts_and_the_gaps(reports: dict[str, Report]) -> None:
    """A server that does not answer is a fact too."""
    durable = reports["durable"]
    assert durable["mode"] == "runtime-inspect"
    assert durable["gaps"] == []
    ledger = durable["ledger"]
    assert ledger.pop("version").startswith("6.2.")
    assert ledger == {
        "connected": True,
        "durable": True,
        "evictionPolicy": "noeviction",
        "persistence": {
            "aof": True,
            "rdb": False,
            "appendFsync": "always",
            "lostAtPowerLoss": "nothing",
        },
        "replication": {"role": "master", "connectedReplicas": 0, "minReplicasToWrite": 0},
    }
    broker = durable["broker"]
    assert (broker["connected"], broker["product"], broker["durable"]) == (True, "Redis", True)
    assert set(broker["queueTypes"].values()) == {"list"}
    assert broker["consumerTimeoutPerQueue"] is True
    assert broker["publisherConfirms"] is False

    assert reports["evicting"]["ledger"]["evictionPolicy"] == "allkeys-lru"
    assert reports["volatile"]["ledger"]["persistence"]["aof"] is False
    assert reports["silent ledger"]["ledger"] == {"connected": False}
    assert reports["silent broker"]["broker"] == {"connected": False}
    for kind, who in (("evicting", "The ledger"), ("volatile broker", "The broker")):
        assert who in {gap["contract"] for gap in reports[kind]["gaps"]}


def test_a_strict_start_refuses_for_the_same_gaps(redis_with: Callable[..., RedisServer]) -> None:
    """A strict binding refuses a ledger that a restart empties; the settings refuse the rest."""
    volatile = redis_with("--appendonly", "no").url
    with closing(compiled(volatile, volatile)) as app:
        gaps = app.purista.inspect().gaps
        with pytest.raises(CapabilityMissing, match=r"Binding 'eventToQueue:.*appendonly"):
            capabilities.check(app.purista_runtime)
    durable = redis_with().url
    with (
        closing(compiled(volatile, durable, strict=True)) as app,
        pytest.raises(CapabilityMissing, match="The broker needs a Redis that keeps its data"),
    ):
        capabilities.check(app.purista_runtime)
    assert {gap.contract for gap in gaps} == {
        "The ledger",
        "Binding 'eventToQueue:cap.happened:cap.urgent'",
    }


def test_replicas_and_snapshots_are_facts(redis_with: Callable[..., RedisServer]) -> None:
    """A replica takes no writes, so nothing is claimed of it; a forbidden CONFIG is an unknown."""
    primary = redis_with()
    # Redis does not stop while it writes a first append-only file, as a replica does on joining.
    replica = redis_with("--replicaof", "127.0.0.1", str(primary.port), "--appendonly", "no")
    locked = redis_with("--rename-command", "CONFIG", "")
    with primary.client() as client:
        client.config_set("save", "3600 1")
        until(lambda: client.info()["connected_slaves"] == 1, "the replica is connected")

    report = report_of(primary.url, primary.url)
    assert report["ledger"]["persistence"]["rdb"] is True
    replication = {"role": "master", "connectedReplicas": 1, "minReplicasToWrite": 0}
    assert report["ledger"]["replication"] == replication
    on_replica = report_of(primary.url, replica.url)
    assert on_replica["ledger"]["replication"]["role"] == "slave"
    assert not of_bridges(on_replica)["queueBridge.capabilities.delayedDelivery"]
    assert "takes writes" in json.dumps(on_replica["gaps"])
    assert report_of(locked.url, locked.url)["ledger"]["persistence"] == {
        "aof": True,
        "rdb": None,
        "appendFsync": "unknown",
        "lostAtPowerLoss": "unknown",
    }


def test_what_a_power_loss_may_cost_is_said_and_refused_by_a_strict_start(
    redis_with: Callable[..., RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    """Redis' default is up to a second. Strict asks for ``always``, or a replica that counts."""
    second, unknown = redis_with(), redis_with("--rename-command", "CONFIG", "")
    rewriting = redis_with(*ALWAYS, "--no-appendfsync-on-rewrite", "yes")
    for server, words in (
        (second, "everysec, so it may lose up to a second; set appendfsync to always, or"),
        (unknown, "not told: let its user run CONFIG GET, set appendfsync to always, or"),
        (rewriting, "up to 30 seconds, in rewrites; set appendfsync to always and no-appendfsync"),
    ):
        with closing(compiled(server.url, server.url)) as app:
            assert [words in gap.remedy for gap in app.purista.inspect().gaps] == [True]
            caplog.clear()
            with caplog.at_level("INFO", "purista_celery.runtime.capabilities"):
                capabilities.check(app.purista_runtime)
            [record] = caplog.records
            assert (record.levelname, words in record.getMessage()) == ("INFO", True)
        with (
            closing(compiled(server.url, server.url, strict=True)) as app,
            pytest.raises(CapabilityMissing, match="when its machine loses power"),
        ):
            capabilities.check(app.purista_runtime)

    always = redis_with(*ALWAYS)
    redis_with("--replicaof", "127.0.0.1", str(second.port), "--appendonly", "no")
    with second.client() as client:
        client.config_set("min-replicas-to-write", 1)
        until(lambda: client.info()["connected_slaves"] == 1, "the replica is connected")
    for server in (second, always):
        with closing(compiled(server.url, server.url, strict=True)) as app:
            capabilities.check(app.purista_runtime)
    with (
        closing(compiled(rewriting.url, always.url, strict=True)) as app,
        pytest.raises(CapabilityMissing, match="The broker needs a Redis that keeps what"),
    ):
        capabilities.check(app.purista_runtime)


def test_rabbitmq_is_asked_for_what_it_is(redis_with: Callable[..., RedisServer]) -> None:
    """Version, confirms, queue types; 3.10's quorum queues have no priorities and no timeouts."""
    url, ledger = require_rabbitmq(), redis_with(*ALWAYS).url
    with closing(compiled(url, ledger)) as app:
        runtime = app.purista_runtime
        report = exports.capabilities([service], facts=app.purista.inspect())
        broker = report["broker"]
        assert broker["product"] == "RabbitMQ"
        version = tuple(int(part) for part in broker["version"].split("."))
        assert of_bridges(report)["queueBridge.capabilities.priorities"] is (version >= (4, 0))
        assert broker["consumerTimeoutPerQueue"] is (version >= (3, 12))
        if version < (3, 12):
            told = {gap["need"] for gap in report["gaps"]}
            assert told == {"priorities", "unacknowledged messages of 2:00:00"}
        assert broker["publisherConfirms"] is True
        assert set(broker["queueTypes"].values()) == {"absent"}, "asking makes no queue"
        assert of_bridges(report)["eventBridge.capabilities.durableSubscriptions"] is True

        ours, theirs = (
            runtime.wiring.queue(f"cap.{name}").broker_name for name in ("urgent", "long")
        )
        with app.connection_for_write() as connection, connection.channel() as channel:
            app.amqp.queues[ours].bind(channel).queue_declare()
            channel.queue_declare(queue=theirs, durable=True, auto_delete=False)
            try:
                asked = app.purista.inspect()
            finally:
                channel.queue_delete(queue=ours)
                channel.queue_delete(queue=theirs)
        report = exports.capabilities([service], facts=asked)
        assert report["broker"]["queueTypes"][ours] == "quorum"
        assert report["broker"]["queueTypes"][theirs] == "different"
        assert of_bridges(report)["eventBridge.capabilities.durableSubscriptions"] is False
        assert any(theirs in gap["contract"] for gap in report["gaps"])

        app.conf.broker_transport_options = {"confirm_publish": False}
        report = exports.capabilities([service], facts=app.purista.inspect())
        assert report["broker"]["publisherConfirms"] is False
        assert of_bridges(report)["eventBridge.capabilities.durableSubscriptions"] is False


def test_the_command_line_writes_the_report_without_secrets(
    redis_with: Callable[..., RedisServer],
) -> None:
    """In both modes; addresses and passwords of servers are no business of a report."""
    server = redis_with()
    with server.client() as client:
        client.config_set("requirepass", SECRET)
    url = f"redis://:{SECRET}@127.0.0.1:{server.port}/0"
    made = {}
    for mode in ("definition-only", "runtime-inspect"):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "celery", "-A", "tests.acceptance.spine.app", "purista"),
                *("export", "runtime-capabilities", "--mode", mode),
            ],
            cwd=ROOT,
            env={**_environment(), "PURISTA_BROKER_URL": url},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout + done.stderr
        assert str(server.port) not in done.stdout
        made[mode] = json.loads(done.stdout)
    assert {mode: report["mode"] for mode, report in made.items()} == {m: m for m in made}
    assert made["runtime-inspect"]["ledger"]["connected"] is True


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
