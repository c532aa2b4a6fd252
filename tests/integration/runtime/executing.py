"""An executor on a real Redis, without a worker: jobs are claimed, run and settled in the test."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel

from purista_celery import (
    Enqueue,
    EventMessage,
    Job,
    Lifecycle,
    Queue,
    ResultEvents,
    RetryStrategy,
    Sensitive,
    Service,
    Settings,
    compile_app,
)
from purista_celery.ledger.records import JobStatus
from purista_celery.messages.envelope import Trace
from purista_celery.messages.job import JobMessage
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime.execute import Execution
from tests.support.servers import RedisServer

LEASE = timedelta(seconds=4)


class Order(BaseModel):
    card: Annotated[str, Sensitive()] = "4111 1111 1111 1111"


class Desk:
    """One app with queues whose handlers do as they are told."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.act: Callable[[Any], Any] = lambda _: None
        self.service = Service("desk")
        self.queues = {
            name: self._queue(name, payload) for name, payload in (("plain", None), ("card", Order))
        }
        self.names = {name: queue.name for name, queue in self.queues.items()}
        self.event = self.service.event("desk.happened")
        self.service.subscribe(self.event, name="hear")(self._hear)
        settings = Settings(
            broker_url=server.url, ledger_url=server.url, namespace=f"t{uuid.uuid4().hex[:8]}"
        )
        self.app = compile_app([self.service], settings)
        self._fences = itertools.count(1)

    def _queue(self, name: str, payload: Any) -> Queue[Any, Any, Any]:
        queue: Queue[Any, Any, Any] = self.service.queue(
            f"desk.{name}",
            payload=payload,
            output=Any,
            lifecycle=Lifecycle(
                visibility_timeout=LEASE,
                heartbeat_interval=timedelta(seconds=1),
                max_attempts=2,
                retry_strategy=RetryStrategy(initial_delay=timedelta(0)),
            ),
            results=ResultEvents(
                success=f"{name}.done", failure=f"{name}.failed", progress=f"{name}.progress"
            ),
        )
        queue.worker()(self._work)
        return queue

    def _work(self, job: Job[Any, Any]) -> Any:
        return self.act(job)

    def _hear(self, event: EventMessage[Any]) -> Any:
        return self.act(event)

    @property
    def _subscription(self) -> JobQueue:
        queues = self.app.purista_runtime.wiring.queues.values()
        return next(queue for queue in queues if queue.name not in self.names.values())

    def hear(self) -> str:
        """Return the id of the job that an event became."""
        event = self.app.purista.emit(self.event)
        job: Enqueue[Any, Any] = Enqueue(event.to_wire())
        return self.app.purista_runtime.producer.enqueue(self._subscription, job, Trace()).job_id

    def enqueue(self, name: str = "plain", **options: Any) -> str:
        """Return the id of a new job."""
        payload = Order() if name == "card" else None
        job_id: str = self.app.purista.enqueue(self.queues[name], payload, **options).job_id
        return job_id

    def run(self, job_id: str, name: str = "plain") -> Execution:
        """Run an attempt at a job, as a pool process does."""
        runtime = self.app.purista_runtime
        text = runtime.ledger.message(self.names.get(name) or self._subscription.name, job_id)
        assert text is not None
        fence = f"w1/{next(self._fences)}"
        return runtime.executor.execute(JobMessage.from_wire(text), fence)

    def status(self, job_id: str) -> JobStatus:
        """Return what clients see of a job."""
        return self.app.purista.job(job_id)

    def close(self) -> None:
        self.app.purista_runtime.ledger.client.close()
        self.app.close()
