"""Stages whose servers are reached by lines that a test cuts, hangs and mends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from celery import Celery

from purista_celery import Settings, compile_app
from tests.acceptance.faults.services import limited, shop
from tests.acceptance.spine.conftest import Spine, forget
from tests.acceptance.spine.services import listener, service
from tests.support.line import Line
from tests.support.processes import Stage, Worker, staged
from tests.support.servers import RedisServer, require_rabbitmq

APP = "tests.acceptance.faults.app"

#: So that a test need not wait for what a production setting is patient with.
IMPATIENT = {
    "PURISTA_LIVENESS_TTL": "3",
    "PURISTA_LOST_GRACE": "2",
    "PURISTA_BROKER_TIMEOUT": "2",
}


@dataclass
class Faulty(Spine):
    """A spine whose workers can be ended at a point, or lose their servers."""

    def worker(self, *arguments: str, wait: bool = True, **environment: str) -> Worker:
        """Start a worker whose environment differs from the stage's by ``environment``."""
        usual = dict(self.stage.extra)
        self.stage.extra.update(environment)
        try:
            # Getting to know the other workers takes each of them a second or more.
            alone = ("--without-mingle", "--without-gossip")
            return self.stage.worker(APP, *(arguments or ("-c", "1")), *alone, wait=wait)
        finally:
            self.stage.extra = usual


def faulty(stage: Stage) -> Faulty:
    """Return ``stage`` with the app of the test's own process, which reaches all servers."""
    stage.extra.update(IMPATIENT)
    return Faulty(stage, compiled(stage, stage.broker_url, stage.ledger_url))


def compiled(stage: Stage, broker_url: str, ledger_url: str) -> Celery:
    """Compile the test's own app, with servers that are reached in its own way."""
    settings = Settings(
        broker_url=broker_url,
        ledger_url=ledger_url,
        namespace=stage.namespace,
        broker_timeout=timedelta(seconds=2),
    )
    app = compile_app([service, listener, limited, shop], settings)
    app.conf.broker_connection_timeout = 2
    return app


def broker_of(kind: str, redis_server: RedisServer) -> str:
    return redis_server.url if kind == "redis" else require_rabbitmq()


@pytest.fixture
def faults(stage: Stage) -> Iterator[Faulty]:
    """A stage on either broker."""
    made = faulty(stage)
    yield made
    stage.close()
    forget(made)


@pytest.fixture
def ledger_line(redis_server: RedisServer) -> Iterator[Line]:
    """The workers' way to the ledger (and to nothing else)."""
    line = Line.to(redis_server.url)
    yield line
    line.close()


@pytest.fixture
def broker_line(stage: Stage) -> Iterator[Line]:
    """The workers' way to the broker (and to nothing else)."""
    line = Line.to(stage.broker_url)
    yield line
    line.close()


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def crew(
    request: pytest.FixtureRequest,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Faulty]:
    """A stage for all tests of a module: each leaves two workers behind, and no armed point."""
    broker = broker_of(request.param, redis_server)
    directory = tmp_path_factory.mktemp("crew")
    with staged(broker, redis_server.url, directory) as stage:
        made = faulty(stage)
        yield made
        stage.close()
        forget(made)


@pytest.fixture
def redis_faults(redis_stage: Stage) -> Iterator[Faulty]:
    """A stage on Redis, for what is the same on any broker."""
    made = faulty(redis_stage)
    yield made
    redis_stage.close()
    forget(made)
