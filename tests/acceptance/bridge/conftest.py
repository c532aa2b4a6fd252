"""A worker and a PURISTA peer on one RabbitMQ, with an exchange and queues of the test's own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

from purista_celery import compile_app
from tests.acceptance.bridge.lonely import service
from tests.acceptance.spine.conftest import Spine, compiled, forget
from tests.support.node import TOOLS, Node, require_node
from tests.support.processes import Stage, settings_of, staged
from tests.support.servers import RedisServer, require_rabbitmq
from tests.support.waiting import until


@dataclass
class Hearer:
    """A running peer that prints what it hears."""

    process: subprocess.Popen[bytes]
    output: Path

    def lines(self) -> list[Any]:
        whole = self.output.read_text("utf-8").rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def heard(self, count: int) -> list[Any]:
        """Wait for ``count`` messages and return them."""

        def enough() -> bool:
            assert self.process.poll() is None, self.output.with_suffix(".err").read_text()
            return len(self.lines()) > count

        until(enough, f"the peer hears {count} messages")
        return self.lines()[1:]


@dataclass
class Peer:
    """PURISTA's side of the exchange."""

    node: Node
    url: str
    exchange: str
    directory: Path
    hearers: list[Hearer] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)

    def hear(self, queue: str, filters: dict[str, str], **others: Any) -> Hearer:
        """Start a subscription as PURISTA registers one, and wait until it is bound."""
        output = self.directory / f"hearer-{len(self.hearers)}.out"
        config = self._config(queue=queue, filters=filters, **others)
        with output.open("wb") as out, output.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(
                [self.node.program, "purista_amqp.mjs", "hear", config],
                cwd=TOOLS,
                stdout=out,
                stderr=err,
            )
        hearer = Hearer(process, output)
        self.hearers.append(hearer)
        self.queues += [queue, f"{queue}.retry.100"]
        hearer.heard(0)
        return hearer

    def emit(self, *messages: dict[str, Any], **others: Any) -> list[str]:
        """Publish messages and return their ids."""
        if queue := others.get("queue"):
            self.queues.append(f"{queue}.retry.100")
        config = self._config(messages=messages, **others)
        return [
            json.loads(line)
            for line in self.node.run("purista_amqp.mjs", "emit", config).splitlines()
        ]

    def _config(self, **others: Any) -> str:
        return json.dumps({"url": self.url, "exchange": self.exchange, **others})


@pytest.fixture
def bridged_stage(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """A stage whose events travel on PURISTA's wire."""
    with staged(require_rabbitmq(), redis_server.url, tmp_path) as stage:
        stage.extra |= {
            "PURISTA_EVENT_BRIDGE": "purista-amqp",
            "PURISTA_AMQP_EXCHANGE": f"{stage.namespace}.purista",
        }
        settings_of(stage, monkeypatch)
        yield stage


@pytest.fixture
def bridged(bridged_stage: Stage) -> Iterator[Spine]:
    """The spine's services on it."""
    yield from _used(compiled(bridged_stage))


@pytest.fixture
def lonely(bridged_stage: Stage) -> Iterator[Spine]:
    """A service on it whose result event none of ours hears."""
    yield from _used(Spine(bridged_stage, compile_app([service])))


@pytest.fixture
def peer(bridged_stage: Stage, tmp_path: Path) -> Iterator[Peer]:
    """A peer on the same exchange."""
    exchange = f"{bridged_stage.namespace}.purista"
    url = bridged_stage.broker_url
    made = Peer(require_node(), url.removesuffix("/"), exchange, tmp_path)
    yield made
    for hearer in made.hearers:
        hearer.process.kill()
        hearer.process.wait(10)
    with Connection(url) as connection, connection.channel() as channel:
        for queue in made.queues:
            channel.queue_delete(queue)
        channel.exchange_delete(exchange)


def _used(spine: Spine) -> Iterator[Spine]:
    yield spine
    spine.stage.close()
    forget(spine)
