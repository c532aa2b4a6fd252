"""A bench: a compiled app on live servers, in a namespace of its own, with a worker at hand."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

from celery.app import app_or_default
from celery.worker import WorkController, state
from kombu.asynchronous import set_event_loop

from purista_celery import endpoints
from purista_celery.client import Client
from purista_celery.compiler.app import compile_app
from purista_celery.contracts.receipt import Enqueue, Receipt
from purista_celery.errors import BrokerUnavailable, ConformanceFailed
from purista_celery.ledger.connection import connect
from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.records import Claim, JobStatus
from purista_celery.messages.envelope import Trace
from purista_celery.messages.job import JobMessage
from purista_celery.producer.bridge import TopicBridge
from purista_celery.producer.events import BROKER_ERRORS
from purista_celery.runtime.fence import worker_of
from purista_celery.runtime.runtime import Runtime
from purista_celery.settings import Settings
from purista_celery.testing.contracts import LEASE, Notes, Work, WorkQueue, contracts

T = TypeVar("T")

#: Seconds; a warm shutdown waits for the broker and the ledger, and for nothing else here.
STOPS_WITHIN = 30.0

#: A queue for each thing that is tried, so that the numbers of one are not another's.
QUEUES = (
    *("plain", "delayed", "failing", "buried", "abandoned", "inspected", "keyed", "stale"),
    *("cancelled", "ranked", "ordered", "paused", "surviving", "unreadable"),
    *("bound", "cut", "late", "removed", "unserved"),
)


class Bench:
    """Compiles the cases' services for the servers and settings that are to be tried.

    Use it as a context manager: at its end its worker is stopped, and its queues and keys are
    deleted. Its worker is a thread of this process, in which one bench at a time has a worker:
    starting one stops another's.

    Args:
        settings: where broker and ledger are; ``PURISTA_*`` of the environment by default. The
            namespace is replaced.
        patience: seconds after which something that was to happen is said not to.
    """

    _at_work: ClassVar[Bench | None] = None

    def __init__(self, settings: Settings | None = None, *, patience: float = 30.0) -> None:
        given = settings or Settings.from_environment()
        namespace = f"conformance-{uuid.uuid4().hex[:12]}"
        self.settings = given.model_copy(update={"namespace": namespace})
        self.patience = patience
        self.notes = Notes()
        self.contracts = contracts(self.notes, QUEUES)
        self.app = compile_app(self.contracts.services, self.settings)
        # The process is the user's: its logging and its standard streams stay as they are.
        self.app.conf.update(worker_hijack_root_logger=False, worker_redirect_stdouts=False)
        self._worker: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def client(self) -> Client:
        """The face of the compiled app."""
        return self.app.purista

    @property
    def runtime(self) -> Runtime:
        """What lies behind it."""
        return self.app.purista_runtime

    @property
    def ledger(self) -> Ledger:
        """The ledger under test."""
        return self.runtime.ledger

    def queue(self, name: str) -> WorkQueue:
        """Return a declared queue by the last part of its name."""
        return self.contracts.queues[name]

    def enqueue(self, queue: str, work: Work | None = None, **options: Any) -> Receipt:
        """Enqueue a job, as an application would."""
        return self.client.enqueue(self.queue(queue), work or Work(), **options)

    def ended(self, receipt: Receipt) -> JobStatus:
        """Return the status of a job once it has ended."""
        return self.client.wait(receipt.job_id, self.patience)

    def held(self, queue: str, fence: str, work: Work | None = None) -> tuple[JobMessage, Claim]:
        """Return a job that a worker which has just vanished still holds, under ``fence``."""
        wired = self.runtime.wiring.queue(self.queue(queue).name)
        message = self.runtime.producer.message(wired, Enqueue(work or Work()), Trace())
        self.ledger.enqueue(message)
        claim = self.ledger.claim(
            wired.name,
            message.id,
            fence=fence,
            worker=worker_of(fence),
            lease=LEASE,
            longest_hold=wired.lifecycle.longest_hold,
        )
        return message, claim

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Keep the worker at one job within the block, so that others wait for it in order."""
        self.notes.released.clear()
        holding = self.enqueue("plain", Work(mode="hold"))
        try:
            self.until(lambda: self.notes.runs_of(holding.job_id), "the worker takes a job")
            yield
        finally:
            self.notes.released.set()
        self.ended(holding)

    def until(self, probe: Callable[[], T], expected: str) -> T:
        """Return the first truthy value of ``probe``.

        Raises:
            ConformanceFailed: there was none within the bench's patience.
        """
        deadline = time.monotonic() + self.patience
        while not (value := probe()):
            if time.monotonic() >= deadline:
                raise ConformanceFailed(
                    f"Expected that {expected}, within {self.patience:g} s; it was not so."
                )
            time.sleep(0.05)
        return value

    def start(self) -> None:
        """Start the worker, unless it runs, and return when it consumes.

        Raises:
            BrokerUnavailable, LedgerUnavailable: a server does not answer.
            ConformanceFailed: the worker does not consume.
        """
        if self._worker is not None:
            return
        # What tells a worker to stop, and the time limit that Celery gives all new sockets while
        # one stops, are the process': of two that stop at once, one would leave its limit behind.
        if Bench._at_work is not None:
            Bench._at_work.stop()
        self.ledger.workers.now_ms()
        with self._broker("be reached"), self.app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.1)
        ready = threading.Event()
        # Celery's pool threads find their app as the process' default one.
        self._default_before: Any = app_or_default()
        self.app.set_default()
        # Celery would share the event loop of a worker that is still about to end.
        set_event_loop(None)
        controller = WorkController(
            app=self.app,
            pool="threads",
            concurrency=1,
            hostname=f"bench@{self.settings.namespace}",
            ready_callback=lambda _: ready.set(),
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        Bench._at_work = self
        self._worker = threading.Thread(target=controller.start, name="bench-worker", daemon=True)
        self._worker.start()
        if not ready.wait(self.patience):
            raise ConformanceFailed(
                f"Expected a worker that consumes, within {self.patience:g} s. Its log says why "
                f"it does not; check both URLs, and that the servers give what is needed."
            )

    def stop(self) -> None:
        """Stop the worker warmly, if it runs."""
        if self._worker is None:
            return
        worker, self._worker, Bench._at_work = self._worker, None, None
        self.notes.released.set()
        state.should_stop = 0
        try:
            # A worker that waits for RabbitMQ looks at the flag when something arrives.
            self.app.control.broadcast("ping")
            worker.join(STOPS_WITHIN)
        finally:
            state.should_stop = None
            self._default_before.set_default()
        if worker.is_alive():
            raise ConformanceFailed(f"Expected that the worker stops within {STOPS_WITHIN:g} s.")

    def close(self) -> None:
        """Stop the worker and delete all that the namespace holds."""
        try:
            self.stop()
        finally:
            self._delete_broker_queues()
            self._delete_keys()
            self.ledger.client.close()
            self.app.close()

    def _delete_keys(self) -> None:
        where = endpoints.resolve(self.settings)
        urls = {where.ledger_url} | ({where.broker_url} if where.broker_is_redis else set())
        for url in urls:
            with connect(endpoints.redis_url(url)) as client:
                for pattern in ("{%s*", "%s:*"):
                    for key in client.scan_iter(pattern % self.settings.namespace, count=1000):
                        client.delete(key)

    @contextmanager
    def _broker(self, what: str) -> Iterator[None]:
        try:
            yield
        except BROKER_ERRORS as error:
            raise BrokerUnavailable(
                f"The broker can not {what} ({type(error).__name__}). Check PURISTA_BROKER_URL."
            ) from error

    def _delete_broker_queues(self) -> None:
        queues = [*self.app.amqp.queues.values(), *self.runtime.inboxes.values()]
        with self._broker("be cleaned up"), self.app.connection_for_write() as connection:
            for queue in queues:
                with connection.channel() as channel:
                    queue(channel).delete()
            with connection.channel() as channel:
                TopicBridge(self.settings.namespace).exchange(channel).delete()


def expect(kept: object, expected: str, came: object) -> None:
    """Check one fact.

    Raises:
        ConformanceFailed: it is not so; says what was expected and what came.
    """
    if not kept:
        raise ConformanceFailed(f"Expected {expected}; came {came!r}.")


#: How soon something that must not happen would have happened.
SOON = timedelta(seconds=1)
