"""A world for faults: servers, three workers, a beat and producers, each over lines of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from celery import Celery
from redis import Redis

from purista_celery import JobStatus, Settings, compile_app
from purista_celery.exports.manifest import schedule_manifest
from purista_celery.ledger.reading import status_of
from tests.acceptance.chaos.faults import LINES, OF_A_BEAT, OF_A_SERVER, OF_A_WORKER, Kind
from tests.acceptance.chaos.history import History, read_trace
from tests.acceptance.chaos.posts import LinePost, Post, ProcessPost, ServerPost, living_orphans
from tests.acceptance.chaos.producers import Notebook
from tests.acceptance.chaos.services import TICK, services
from tests.acceptance.spine.conftest import Spine, forget
from tests.support.line import Line
from tests.support.processes import Stage, Worker, staged
from tests.support.rabbitmq import RabbitServer, SharedRabbit, own_or_shared
from tests.support.servers import RedisServer

APP = "tests.acceptance.chaos.app"
#: Two prefork pools and one of threads.
POOLS = (("-c", "2"), ("-c", "2"), ("-P", "threads", "-c", "3"))
#: Shorter than the longest faults, so that these are noticed.
PATIENCE = {
    "PURISTA_LIVENESS_TTL": "5",
    "PURISTA_LOST_GRACE": "5",
    "PURISTA_CANCEL_GRACE": "2",
    "PURISTA_SCHEDULER_LOCK": "4",
}


@dataclass
class World:
    """Where faults happen, and what is remembered of it."""

    stage: Stage
    ledger: RedisServer
    posts: dict[str, Post]
    #: For producers, over lines that can be cut.
    app: Celery
    book: Notebook = field(default_factory=Notebook)
    rabbit: RabbitServer | SharedRabbit | None = None
    began: float = field(default_factory=time.time)
    _crashes: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, tuple[Kind, ...]]:
        """What can go wrong at each post."""
        of = {"beat": OF_A_BEAT, "producers": LINES}
        return {
            post: of.get(post, OF_A_WORKER if post.startswith("worker") else OF_A_SERVER)
            for post in self.posts
        }

    def history(self, ended: float) -> History:
        """Return what has happened so far; the schedule is looked at from start to ``ended``."""
        self._crashes += living_orphans(self.posts)
        posts = [post for post in self.posts.values() if isinstance(post, ProcessPost)]
        for post in posts:
            post.look()
        trace = self.stage.directory / "trace.log"
        runs, heard = read_trace(trace.read_text().splitlines() if trace.exists() else ())
        ticks = [each.occurrence for each in heard if each.occurrence is not None]
        return History(
            accepted=tuple(self.book.accepted),
            emitted=tuple(self.book.emitted),
            runs=runs,
            heard=heard,
            jobs=self._records(),
            ticking=(min(ticks, default=self.began), ended),
            tick=TICK,
            crashes=(*self._crashes, *(crash for post in posts for crash in post.crashes)),
        )

    def _records(self) -> dict[str, JobStatus]:
        with self.ledger.client() as client:
            return records(client, self.stage.namespace)


def records(client: Redis, namespace: str) -> dict[str, JobStatus]:
    """Return all jobs that a ledger has a record of."""
    keys = list(client.scan_iter(f"{{{namespace}:*}}:job:*", count=1000))
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.hgetall(key)
    found = {}
    for key, record in zip(keys, pipe.execute(), strict=True):
        queue, job_id = key.removeprefix(f"{{{namespace}:").split("}:job:")
        found[job_id] = status_of(queue, job_id, record)
    return found


@contextmanager
def world(broker: str, directory: Path) -> Iterator[World]:
    """Provide a world on a Redis of its own and, for ``rabbitmq``, a RabbitMQ of its own."""
    with ExitStack() as stack:
        ledger = RedisServer().start()
        stack.callback(ledger.close)
        posts: dict[str, Post] = {"redis": ServerPost(ledger)}
        broker_url, lines = ledger.url, list[Line]()
        rabbit = own_or_shared(lines) if broker == "rabbitmq" else None
        if rabbit is not None:
            stack.callback(rabbit.close)
            broker_url, posts["rabbitmq"] = rabbit.url, ServerPost(rabbit)
        stage = stack.enter_context(staged(broker_url, ledger.url, directory))
        site = _Site(stage, stack, lines)
        manifest = directory / "manifest.json"
        manifest.write_text(json.dumps(schedule_manifest(services)))
        stage.extra |= {**PATIENCE, "PURISTA_SCHEDULE_MANIFEST": str(manifest)}
        posts["producers"] = producers = LinePost(*site.lines())
        app = site.app(producers)
        if isinstance(rabbit, SharedRabbit):
            stack.callback(_tidy, stage, app)
        for number, pool in enumerate(POOLS, 1):
            arguments = ("worker", "-l", "INFO", "-n", f"w{number}@{stage.namespace}", *pool)
            posts[f"worker{number}"] = site.process(APP, *arguments)
        posts["beat"] = site.process("beat", "beat", "-l", "INFO")
        yield World(stage, ledger, posts, app, rabbit=rabbit)


def _tidy(stage: Stage, app: Celery) -> None:
    """Leave nothing on a server that is not ours; workers would declare their queues again."""
    stage.close()
    forget(Spine(stage, app))


@dataclass
class _Site:
    """Builds what stands in a world; it is torn down with ``stack``."""

    stage: Stage
    stack: ExitStack
    #: All lines to the broker.
    to_broker: list[Line]

    def lines(self) -> tuple[Line, Line]:
        """Return new lines to broker and ledger."""
        broker, ledger = Line.to(self.stage.broker_url), Line.to(self.stage.ledger_url)
        self.to_broker.append(broker)
        self.stack.callback(broker.close)
        self.stack.callback(ledger.close)
        return broker, ledger

    def process(self, app: str, *arguments: str) -> ProcessPost:
        """Start a process over lines of its own, and again whenever its post asks for it."""
        broker, ledger = self.lines()

        def launch() -> Worker:
            self.stage.extra["PURISTA_BROKER_URL"] = broker.through(self.stage.broker_url)
            self.stage.extra["PURISTA_LEDGER_URL"] = ledger.through(self.stage.ledger_url)
            return self.stage.celery(app, *arguments)

        return ProcessPost(broker, ledger, launch)

    def app(self, post: LinePost) -> Celery:
        """Return the app of this process' producers, with its subscriptions declared."""
        settings = Settings(
            broker_url=post.broker.through(self.stage.broker_url),
            ledger_url=post.ledger.through(self.stage.ledger_url),
            namespace=self.stage.namespace,
        )
        app = compile_app(services, settings)
        self.stack.callback(app.purista_runtime.ledger.client.close)
        self.stack.callback(app.close)
        # A beat declares the exchange only, and must not fire before anybody listens.
        with app.connection_for_write() as connection, connection.channel() as channel:
            for inbox in app.purista_runtime.inboxes.values():
                inbox(channel).declare()
        return app
