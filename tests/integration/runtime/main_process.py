"""One worker's main process without a worker, whose duties a test calls one by one."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from celery.worker import state

from purista_celery import Lifecycle, ResultEvents, Service, Settings, compile_app
from purista_celery.ledger.keys import heard_key, workers_key
from purista_celery.messages.job import JobMessage
from purista_celery.runtime import fence
from purista_celery.runtime.runtime import Runtime
from purista_celery.runtime.settle import Held

LIFE = timedelta(seconds=15)


class Request:
    """A job that this worker has received, as Celery's main process knows it."""

    def __init__(self, name: str, message: JobMessage, held: str) -> None:
        self.name = name
        self.id = message.id
        self.message = Message(held, message)


@dataclass
class Message:
    """Its message."""

    held: str
    job: JobMessage
    delivery_tag: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def headers(self) -> dict[str, str]:
        return {fence.HEADER: self.held}

    @property
    def payload(self) -> list[Any]:
        return [[], self.job.to_kwargs(), {}]


class Main:
    """One worker's main process without a worker: its runtime, and hands to let things happen."""

    def __init__(self, url: str) -> None:
        desk = Service("desk")
        brief = Lifecycle(
            visibility_timeout=timedelta(seconds=30), heartbeat_interval=timedelta(seconds=10)
        )
        results = ResultEvents(dead_letter="desk.lost", delivery="required")
        self.call = desk.queue("desk.call", payload=Any, lifecycle=brief, results=results)
        self.mail = desk.queue("desk.mail", payload=Any, lifecycle=brief)
        for queue in (self.call, self.mail):
            queue.worker()(lambda job: None)
        namespace = f"d{uuid.uuid4().hex[:8]}"
        self.settings = Settings(
            broker_url=url, namespace=namespace, liveness_ttl=LIFE, lost_grace=timedelta(seconds=10)
        )
        self.app = compile_app([desk], self.settings)
        self.runtime: Runtime = self.app.purista_runtime
        self.ledger = self.runtime.ledger
        self._numbers = itertools.count(1)
        # Celery keeps weak references only.
        self._requests: list[Request] = []

    def enqueue(self, queue: str = "desk.call", **fields: Any) -> JobMessage:
        """Store a job that nobody has published."""
        message = JobMessage(
            id=f"j{next(self._numbers)}",
            queue_name=queue,
            created_at=self.ledger.workers.now_ms(),
            max_attempts=fields.pop("max_attempts", 3),
            **fields,
        )
        self.ledger.enqueue(message)
        return message

    def held_by(self, worker: str, message: JobMessage) -> Held:
        """Claim a job for ``worker``."""
        queue = self.runtime.wiring.queue(message.queue_name)
        claim = self.ledger.claim(
            queue.name,
            message.id,
            fence=f"{worker}/{message.id}",
            worker=worker,
            lease=queue.lifecycle.visibility_timeout,
            longest_hold=queue.longest_hold,
        )
        return Held.by(queue, message, claim)

    def running(self, message: JobMessage) -> tuple[Held, Request]:
        """Let this worker hold and run a job."""
        held = self.held_by(self.runtime.fences.worker_id, message)
        request = Request(message.queue_name, message, held.fence)
        self._requests.append(request)
        state.reserved_requests.add(request)
        state.active_requests.add(request)
        return held, request

    def heard(self, *silent: str) -> None:
        """Let workers have been heard from for long, and some not any more."""
        client, now = self.ledger.client, self.ledger.workers.now_ms()
        times = {"since": now - 3_600_000, "last": now}
        client.hset(heard_key(self.settings.namespace), mapping=times)
        for worker in silent:
            client.zadd(workers_key(self.settings.namespace), {worker: now - 1000})

    def aged(self, message: JobMessage, *, by: timedelta = timedelta(hours=1)) -> None:
        """Let a ready job not have been seen for so long."""
        ago = by // timedelta(milliseconds=1)
        ready = self.ledger.keys(message.queue_name).ready
        self.ledger.client.zadd(ready, {message.id: -ago}, xx=True, incr=True)

    def state_of(self, message: JobMessage) -> str | None:
        key = self.ledger.keys(message.queue_name).job(message.id)
        found = self.ledger.client.hget(key, "state")
        return None if found is None else str(found)
