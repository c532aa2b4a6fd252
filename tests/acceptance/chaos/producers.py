"""Producers: threads that enqueue, emit and cancel, and write down what was accepted."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from celery import Celery

from purista_celery import Client
from purista_celery.errors import BrokerUnavailable, JobNotFound, LedgerUnavailable
from tests.acceptance.chaos.contracts import Work, attempts_of, brief, happened, ordered, steady
from tests.acceptance.chaos.history import Accepted

#: What jobs do, as often as it stands here.
MODES = ("ok",) * 8 + ("transient", "transient", "fail", "fatal", "bury")
#: Seconds between two calls of one producer.
PAUSE = 0.3
#: Jobs take up to so many seconds; the longest, longer than a lease and a liveness.
SECONDS = (*(0, 0, 0, 0.1, 0.3, 2) * 4, 12)
#: Unfinished jobs at which producers wait: faults are to be tested, not floods.
ENOUGH = 60


@dataclass
class Notebook:
    """What producers were told; what they add to is added to atomically."""

    accepted: list[Accepted] = field(default_factory=list)
    #: When, by the event's id.
    emitted: dict[str, float] = field(default_factory=dict)
    #: Jobs that were to be cancelled, and when that was asked for.
    cancelled: list[tuple[str, float]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    #: Errors that are none of ours, as lines.
    raw: Counter[str] = field(default_factory=Counter)


class Producer(threading.Thread):
    """One producer with dice of its own; runs until :meth:`stop`."""

    def __init__(self, app: Celery, book: Notebook, seed: int) -> None:
        super().__init__(name=f"producer-{seed}", daemon=True)
        self._client: Client = app.purista
        self._book = book
        self._dice = random.Random(seed)
        self._ended = threading.Event()

    def stop(self) -> None:
        self._ended.set()
        # A call that is under way may wait for a server as long as it is patient.
        self.join(120)

    def run(self) -> None:
        while not self._ended.wait(self._dice.uniform(0, 2 * PAUSE)):
            try:
                self._act()
            except (LedgerUnavailable, BrokerUnavailable) as error:
                self._book.refused[error.code] += 1
            except Exception as error:
                self._book.raw[f"{type(error).__name__}: {error}"[:300]] += 1

    def _act(self) -> None:
        what = self._dice.random()
        if what < 0.2:
            event = self._client.emit(happened, self._work())
            self._book.emitted[event.id] = time.time()
        elif what < 0.3 and self._book.accepted:
            job = self._dice.choice(self._book.accepted[-20:])
            with suppress(JobNotFound):
                self._book.cancelled.append((job.job_id, time.time()))
                self._client.cancel(job.job_id)
                self._book.cancelled.append((job.job_id, time.time()))
        elif max(self._client.metrics(q).pending for q in (brief, ordered)) < ENOUGH:
            self._enqueue()

    def _work(self) -> Work:
        seconds = self._dice.choice(SECONDS) * self._dice.random()
        return Work(mode=self._dice.choice(MODES), seconds=seconds)

    def _enqueue(self) -> None:
        dice = self._dice
        which = dice.random()
        if which < 0.2:
            self._enqueue_ordered()
            return
        work = self._work()
        # A key lasts for a while: producers that share one meet.
        key = f"{int(time.time() / 10)}-{dice.randrange(4)}" if dice.random() < 0.3 else None
        receipt = self._client.enqueue(
            steady if which < 0.4 else brief,
            work,
            idempotency_key=key,
            delay=timedelta(seconds=dice.uniform(0.2, 6)) if dice.random() < 0.2 else None,
            max_attempts=attempts_of(work),
        )
        due = receipt.scheduled_at.timestamp() if receipt.scheduled_at else None
        name = f"{receipt.queue_name}:{key}" if key else None
        self._book.accepted.append(Accepted(receipt.job_id, time.time(), work.mode, name, due))

    def _enqueue_ordered(self) -> None:
        partition = self._dice.choice("abc")
        work = self._work().model_copy(update={"partition": partition})
        receipt = self._client.enqueue(
            ordered, work, partition_key=partition, max_attempts=attempts_of(work)
        )
        self._book.accepted.append(Accepted(receipt.job_id, time.time(), work.mode))
