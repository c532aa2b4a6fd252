"""A witness that counts messages and unfinished jobs, as long as things go wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import redis

from purista_celery.errors import LedgerUnavailable
from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.reading import metrics
from tests.acceptance.chaos.history import Sample
from tests.acceptance.chaos.neighbours import ERRORS, Neighbours

#: Seconds between two looks.
PAUSE = 1.0
#: Of a message that nobody takes.
LOOKS = 4


@dataclass
class Sampler:
    """Looks at both servers directly; where one is away, it looks again later."""

    neighbours: Neighbours
    ledger: Callable[[], redis.Redis]
    samples: list[Sample] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(60)

    def left(self) -> Mapping[str, int]:
        """Return what is in the broker's queues and inboxes now, where there is anything."""
        names = {*self.neighbours.job_queues, *self.neighbours.inboxes}
        left: Mapping[str, int] = {}
        # What passes through at this moment is gone at the next look.
        for _ in range(LOOKS):
            left = {name: n for name, n in self.neighbours.waiting(names).items() if n}
            names &= left.keys()
            if not names:
                break
            time.sleep(PAUSE / 2)
        return left

    def _run(self) -> None:
        while not self._ended.wait(PAUSE):
            with suppress(*ERRORS, LedgerUnavailable):
                self._look()

    def _look(self) -> None:
        names = self.neighbours.declared
        before = self._jobs()
        waiting = self.neighbours.waiting(self.neighbours.job_queues)
        after = self._jobs()
        for name, broker_name in zip(names, self.neighbours.job_queues, strict=True):
            jobs = max(before[name], after[name])
            self.samples.append(Sample(time.time(), name, waiting.get(broker_name, 0), jobs))

    def _jobs(self) -> dict[str, int]:
        """Return how many jobs have not ended and do not wait for their time, by queue."""
        settings = self.neighbours.app.purista_runtime.settings
        with self.ledger() as client:
            ledger = Ledger(client, settings.namespace, settings.result_ttl)
            counted = {name: metrics(ledger, name) for name in self.neighbours.declared}
        return {name: m.pending - m.scheduled + m.inflight for name, m in counted.items()}
