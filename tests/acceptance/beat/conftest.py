"""Real ``celery beat`` processes, and a consumer that hears what they publish."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import pytest
from kombu import Connection, Consumer, Exchange, Queue
from kombu.exceptions import KombuError

from purista_celery.contracts.service import Service
from purista_celery.exports.manifest import schedule_manifest
from tests.support.line import Line
from tests.support.processes import ROOT, Stage, staged
from tests.support.servers import RedisServer
from tests.support.waiting import until

#: Runs in each beat process before Celery: on SIGUSR1 it writes down which modules are imported.
_WITNESS = """\
import os, signal, sys
def witness(*_):
    with open(os.environ["WITNESS"] + ".new", "w") as file:
        file.write("\\n".join(sys.modules))
    os.replace(os.environ["WITNESS"] + ".new", os.environ["WITNESS"])
signal.signal(signal.SIGUSR1, witness)
"""


@dataclass(frozen=True)
class Heard:
    """One event as it came over the wire."""

    body: dict[str, Any]
    routing_key: str

    @property
    def id(self) -> str:
        return str(self.body["id"])

    @property
    def scheduled_at(self) -> datetime:
        return datetime.fromisoformat(self.body["schedule"]["scheduledAt"])

    @property
    def fired_at(self) -> datetime:
        return datetime.fromisoformat(self.body["schedule"]["firedAt"])


class Listener(threading.Thread):
    """Consumes the topic exchange through a durable queue, across restarts of the broker."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(daemon=True)
        self.heard: list[Heard] = []
        self.listening = threading.Event()
        self._ended = threading.Event()
        self._namespace = stage.namespace
        options = {"global_keyprefix": f"{stage.namespace}:"}
        redis = stage.broker_url.startswith("redis")
        self._connection = Connection(stage.broker_url, transport_options=options if redis else {})
        self.start()

    def run(self) -> None:
        exchange = Exchange(f"{self._namespace}.events", type="topic", durable=True)
        queue = Queue(f"{self._namespace}.test", exchange, routing_key="#", durable=True)
        while not self._ended.is_set():
            try:
                with (
                    self._connection.clone() as connection,
                    Consumer(connection, queue, on_message=self._hear, accept=["json"]),
                ):
                    self.listening.set()
                    self._drain(connection)
            except (OSError, KombuError, *self._connection.connection_errors):
                self._ended.wait(0.1)

    def close(self) -> None:
        self._ended.set()
        self.join(10)

    def _drain(self, connection: Connection) -> None:
        while not self._ended.is_set():
            try:
                connection.drain_events(timeout=0.2)
            except TimeoutError:
                continue

    def _hear(self, message: Any) -> None:
        body = message.payload
        if isinstance(body, str):
            body = json.loads(body)
        self.heard.append(Heard(body, message.delivery_info["routing_key"]))
        message.ack()


@dataclass
class Beat:
    """One beat process."""

    process: subprocess.Popen[bytes]
    log: Path
    witness: Path

    @property
    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def leads(self) -> bool:
        assert self.alive, self.text[-4000:]
        return "leads group" in self.text

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def terminate(self) -> int:
        self.signal(signal.SIGTERM)
        return self.process.wait(10)

    def kill(self) -> None:
        if self.alive:
            self.signal(signal.SIGKILL)
        self.process.wait(10)

    def modules(self) -> set[str]:
        """Return what the process has imported."""
        self.signal(signal.SIGUSR1)
        until(self.witness.exists, "the process writes down its modules")
        return set(self.witness.read_text().splitlines())


@dataclass
class Clockwork:
    """A stage for beats."""

    stage: Stage
    listener: Listener
    beats: list[Beat] = field(default_factory=list)

    def manifest(self, service: Service) -> None:
        path = self.stage.directory / "manifest.json"
        path.write_text(json.dumps(schedule_manifest([service])))
        self.stage.extra["PURISTA_SCHEDULE_MANIFEST"] = str(path)

    def beat(self, *arguments: str, wait: bool = True) -> Beat:
        """Start ``celery -A beat beat`` and wait until it leads."""
        number = len(self.beats) + 1
        directory = self.stage.directory
        log, witness = directory / f"beat-{number}.log", directory / f"modules-{number}.txt"
        environment = self.stage.environment
        site = directory / "site"
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(_WITNESS)
        environment["PYTHONPATH"] = f"{site}:{ROOT}"
        environment["WITNESS"] = str(witness)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "beat", "beat", "-l", "INFO", *arguments],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        beat = Beat(process, log, witness)
        self.beats.append(beat)
        if wait:
            until(beat.leads, lambda: f"beat leads; its log:\n{beat.text[-2000:]}")
        return beat

    def heard(self, name: str) -> list[Heard]:
        """Return what was heard of the schedule of that name."""
        return [
            e for e in self.listener.heard if e.body.get("schedule", {}).get("scheduleName") == name
        ]

    def results(self, event_name: str) -> list[Heard]:
        """Return the result events of that name that were heard."""
        return [e for e in self.listener.heard if e.routing_key == event_name]

    def logs(self) -> str:
        """Return how the log of each beat ends."""
        return "logs:\n" + "\n".join(beat.text[-2000:] for beat in self.beats)

    def await_heard(self, name: str, count: int, timeout: float = 30) -> list[Heard]:
        def told() -> str:
            return f"{count} events of {name}, heard {len(self.heard(name))}; {self.logs()}"

        until(lambda: len(self.heard(name)) >= count, told, timeout)
        return self.heard(name)

    def close(self) -> None:
        for beat in self.beats:
            beat.kill()
        self.listener.close()


@dataclass
class Post:
    """One beat's place: its lines to broker and store, and the process that is there now."""

    clockwork: Clockwork
    broker: Line
    ledger: Line
    beat: Beat = field(init=False)

    @classmethod
    def on(cls, clockwork: Clockwork, *, one_line: bool = False) -> Self:
        """Return a place with lines of its own; one, if broker and store are to be one server."""
        stage = clockwork.stage
        broker = Line.to(stage.broker_url)
        return cls(clockwork, broker, broker if one_line else Line.to(stage.ledger_url))

    def start(self, *, wait: bool = False) -> Beat:
        stage = self.clockwork.stage
        stage.extra["PURISTA_BROKER_URL"] = self.broker.through(stage.broker_url)
        stage.extra["PURISTA_LEDGER_URL"] = self.ledger.through(stage.ledger_url)
        self.beat = self.clockwork.beat(wait=wait)
        del stage.extra["PURISTA_BROKER_URL"], stage.extra["PURISTA_LEDGER_URL"]
        return self.beat

    def close(self) -> None:
        self.broker.close()
        self.ledger.close()


def clockwork_of(stage: Stage) -> Iterator[Clockwork]:
    clockwork = Clockwork(stage, Listener(stage))
    assert clockwork.listener.listening.wait(20)
    try:
        yield clockwork
    finally:
        clockwork.close()


@pytest.fixture
def clockwork(stage: Stage) -> Iterator[Clockwork]:
    """Beats on either broker."""
    yield from clockwork_of(stage)


@pytest.fixture
def redis_clockwork(redis_stage: Stage) -> Iterator[Clockwork]:
    """Beats on Redis, for what is the same on any broker."""
    yield from clockwork_of(redis_stage)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[tuple[RedisServer, Clockwork]]:
    """Beats on a Redis that the test may stop."""
    server = RedisServer().start()
    try:
        with staged(server.url, server.url, tmp_path) as stage:
            for clockwork in clockwork_of(stage):
                yield server, clockwork
    finally:
        server.close()
