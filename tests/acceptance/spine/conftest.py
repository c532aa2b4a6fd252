"""The spine's services, compiled for the test process: its client hands work to the workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from celery import Celery

from purista_celery import Client, Receipt, Service, Settings, compile_app
from tests.acceptance.spine.services import Work, listener, service, work
from tests.support.processes import Stage, Worker
from tests.support.waiting import until

APP = "tests.acceptance.spine.app"


@dataclass
class Spine:
    """A stage with a client, and what the handlers traced."""

    stage: Stage
    app: Celery
    module: str = APP

    @property
    def client(self) -> Client:
        client: Client = self.app.purista
        return client

    def worker(self, *arguments: str, wait: bool = True) -> Worker:
        return self.stage.worker(self.module, *(arguments or ("-c", "2")), wait=wait)

    def enqueue(
        self, mode: str = "ok", n: int = 0, seconds: float = 0, **options: object
    ) -> Receipt:
        payload = Work(mode=mode, n=n, seconds=seconds)
        return self.client.enqueue(work, payload, **options)  # type: ignore[arg-type]

    def traced(self, *words: str) -> list[list[str]]:
        """Return the trace's lines that hold ``words``, in order, as words."""
        path = self.stage.directory / "trace.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split() for line in lines if set(words) <= set(line.split()[2:])]

    def await_trace(self, *words: str, count: int = 1, timeout: float = 30) -> list[list[str]]:
        """Wait until ``count`` lines of the trace hold ``words``."""
        until(
            lambda: len(self.traced(*words)) >= count,
            lambda: f"{count} trace lines with {words}; logs:\n{self.logs()}",
            timeout,
        )
        return self.traced(*words)

    def logs(self) -> str:
        return "\n".join(worker.text[-3000:] for worker in self.stage.workers)


def compiled(
    stage: Stage, services: Sequence[Service] = (service, listener), module: str = APP
) -> Spine:
    app = compile_app(
        services,
        Settings(
            broker_url=stage.broker_url,
            ledger_url=stage.ledger_url,
            namespace=stage.namespace,
        ),
    )
    return Spine(stage, app, module)


def forget(spine: Spine) -> None:
    """Delete the namespace's broker queues and close this process' connections."""
    if spine.stage.broker_url.startswith("amqp"):
        runtime = spine.app.purista_runtime
        names = [queue.name for queue in spine.app.conf.task_queues]
        names += [queue.name for queue in runtime.inboxes.values()]
        for name in names:
            with spine.app.connection_for_write() as connection, connection.channel() as channel:
                channel.queue_delete(name)
        with spine.app.connection_for_write() as connection, connection.channel() as channel:
            namespace = spine.stage.namespace
            for suffix in ("events", "celeryev", "control.pidbox"):
                channel.exchange_delete(f"{namespace}.{suffix}")
            channel.exchange_delete(f"reply.{namespace}.control.pidbox")
    spine.app.close()
    spine.app.purista_runtime.ledger.client.close()


@pytest.fixture
def spine(stage: Stage) -> Iterator[Spine]:
    made = compiled(stage)
    yield made
    stage.close()
    forget(made)


@pytest.fixture
def redis_spine(redis_stage: Stage) -> Iterator[Spine]:
    made = compiled(redis_stage)
    yield made
    redis_stage.close()
    forget(made)
