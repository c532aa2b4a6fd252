"""The site of a world: its servers and processes are built here, and torn down with a stack."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from celery import Celery

from purista_celery import Service, Settings, compile_app
from purista_celery.exports.manifest import schedule_manifest
from tests.acceptance.chaos.contracts import BEFORE, NEWEST, service
from tests.acceptance.chaos.kinds import (
    OF_A_BROKER,
    OF_A_LEDGER,
    OF_A_PROCESS,
    OF_A_REDIS,
    OF_A_WORKER,
    OF_FORKS,
    OF_THREADS,
    Kind,
)
from tests.acceptance.chaos.neighbours import Neighbours
from tests.acceptance.chaos.posts import ForkPost, LinePost, Post, ProcessPost
from tests.acceptance.chaos.servers import RabbitPost, RedisPost, SharedPost
from tests.acceptance.chaos.services import gone, services
from tests.acceptance.spine.conftest import Spine, forget
from tests.support.line import Line
from tests.support.processes import Stage, Worker, staged
from tests.support.rabbitmq import RabbitServer, SharedRabbit, own_or_shared
from tests.support.servers import RedisServer

APP = "tests.acceptance.chaos.app"
#: Of ``redis-apart``, broker and ledger are two Redis servers.
BROKERS = ("redis", "redis-apart", "rabbitmq")
#: What it has taken is with the kernel before it says so, whenever it is killed; ``everysec`` may
#: keep it for two seconds where a disk is slow.
KEPT = ("--appendfsync", "no")
#: Shorter than the longest faults, so that these are noticed.
PATIENCE = {
    "PURISTA_LIVENESS_TTL": "5",
    "PURISTA_LOST_GRACE": "5",
    "PURISTA_CANCEL_GRACE": "2",
    "PURISTA_BROKER_TIMEOUT": "3",
    "PURISTA_SCHEDULER_LOCK": "4",
}


@dataclass(frozen=True)
class Place:
    """What runs at a post."""

    kinds: tuple[Kind, ...]
    #: ``python -m`` these.
    command: tuple[str, ...]
    post: type[ProcessPost] = ProcessPost
    #: What is deployed there, where it is not the newest.
    version: str = ""


def _worker(*pool: str) -> tuple[str, ...]:
    return ("celery", "-A", APP, "worker", "-l", "INFO", "-n", "{post}@{namespace}", *pool)


#: In the order in which they start: who knows the contracts alone must not rely on the workers.
PLACES = {
    "outsider": Place(OF_A_PROCESS, ("tests.acceptance.chaos.outsider",)),
    "worker1": Place(OF_A_WORKER, _worker("-c", "2")),
    "worker2": Place(OF_THREADS, _worker("-P", "threads", "-c", "3")),
    "old": Place(OF_A_WORKER, _worker("-c", "1"), version=BEFORE),
    "forked": Place(
        OF_FORKS, ("tests.acceptance.chaos.forked", "2", "-l", "INFO", "-c", "1"), ForkPost
    ),
    "beat": Place(OF_A_PROCESS, ("celery", "-A", "beat", "beat", "-l", "INFO")),
}


@dataclass
class Site:
    """Builds what stands in a world."""

    broker: str
    directory: Path
    stack: ExitStack
    servers: dict[str, Post] = field(default_factory=dict)
    rabbit: RabbitServer | SharedRabbit | None = None
    stage: Stage = field(init=False)
    ledger: RedisPost = field(init=False)
    messages: Neighbours = field(init=False)
    #: By the server that they lead to.
    _lines: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.messages = Neighbours(self._broker_url)
        both = self.broker == "redis"
        kinds = (*OF_A_REDIS, *OF_A_LEDGER, *(OF_A_BROKER if both else ()))
        self.ledger = self._redis("redis", kinds)
        if self.broker == "redis-apart":
            self._redis("broker", (*OF_A_REDIS, *OF_A_BROKER))
        elif not both:
            self._rabbitmq()
        self.stage = self.stack.enter_context(
            staged(self._broker_url(), self.ledger.server.url, self.directory)
        )
        manifest = self.directory / "manifest.json"
        manifest.write_text(json.dumps(schedule_manifest(services)))
        self.stage.extra |= {**PATIENCE, "PURISTA_SCHEDULE_MANIFEST": str(manifest)}

    def producers(self) -> LinePost:
        """Return the post of this process' producers."""
        return LinePost(*self._new_lines(), self._close_at_broker, self.ledger.close_connections)

    def app(self, post: LinePost) -> Celery:
        """Return the app of this process' producers, with its subscriptions declared."""
        settings = Settings(
            broker_url=post.broker.through(self.stage.broker_url),
            ledger_url=post.ledger.through(self.stage.ledger_url),
            namespace=self.stage.namespace,
        )
        app = self._compile(services, settings)
        self._compile([service, gone], settings)
        self.messages.app = app
        return app

    def _compile(self, these: list[Service], settings: Settings) -> Celery:
        app = compile_app(these, settings)
        self.stack.callback(app.purista_runtime.ledger.client.close)
        self.stack.callback(app.close)
        if isinstance(self.rabbit, SharedRabbit):
            self.stack.callback(self._tidy, app)
        # A beat declares the exchange only, and must not fire before anybody listens.
        with app.connection_for_write() as connection, connection.channel() as channel:
            for inbox in app.purista_runtime.inboxes.values():
                inbox(channel).declare()
        return app

    def process(self, name: str, place: Place) -> ProcessPost:
        """Start a process over lines of its own, and again whenever its post asks for it."""
        lines = self._new_lines()
        return place.post(
            *lines,
            self._close_at_broker,
            self.ledger.close_connections,
            place.kinds,
            launch=partial(self._launch, name, place, *lines),
        )

    def _launch(self, name: str, place: Place, broker: Line, ledger: Line) -> Worker:
        self.stage.extra |= {
            "PURISTA_BROKER_URL": broker.through(self.stage.broker_url),
            "PURISTA_LEDGER_URL": ledger.through(self.stage.ledger_url),
            "CHAOS_POST": name,
            "CHAOS_VERSION": place.version or NEWEST,
        }
        words = [w.format(post=name, namespace=self.stage.namespace) for w in place.command]
        return self.stage.python(name, *words)

    def _new_lines(self) -> tuple[Line, Line]:
        broker, ledger = Line.to(self.stage.broker_url), Line.to(self.stage.ledger_url)
        self._lines["broker" if self.broker == "redis-apart" else self.broker].append(broker)
        self._lines["redis"].append(ledger)
        self.stack.callback(broker.close)
        self.stack.callback(ledger.close)
        return broker, ledger

    def _redis(self, name: str, kinds: tuple[Kind, ...]) -> RedisPost:
        messages = self.messages if Kind.GARBAGE in kinds else None
        server = RedisServer(options=KEPT).start()
        post = RedisPost(server, self._lines[name], kinds, messages)
        self.servers[name] = post
        self.stack.callback(post.close)
        self.stack.callback(lambda: self._keep_logs(post.server.directory, name))
        return post

    def _rabbitmq(self) -> None:
        self.rabbit = own_or_shared(self._lines["rabbitmq"])
        self.stack.callback(self.rabbit.close)
        if isinstance(self.rabbit, RabbitServer):
            self.servers["rabbitmq"] = RabbitPost(self.rabbit, self.messages)
            self.stack.callback(self._keep_logs, self.rabbit.directory, "rabbitmq")
        else:
            self.servers["rabbitmq"] = SharedPost(self.rabbit)

    def _keep_logs(self, of: Path, name: str) -> None:
        for log in of.rglob("*.log"):
            shutil.copy(log, self.directory / f"{name}-{log.name}")

    def _broker_url(self) -> str:
        if self.rabbit is not None:
            return self.rabbit.url
        post = self.servers["redis" if self.broker == "redis" else "broker"]
        assert isinstance(post, RedisPost)
        return post.server.url

    def _close_at_broker(self, addresses: list[str]) -> bool:
        post = self.servers.get("rabbitmq") or self.servers.get("broker") or self.ledger
        assert isinstance(post, RedisPost | RabbitPost | SharedPost)
        return post.close_connections(addresses)

    def _tidy(self, app: Celery) -> None:
        """Leave nothing on a server that is not ours; workers would declare their queues again."""
        self.stage.close()
        forget(Spine(self.stage, app))
