"""Where things are in Redis: the names that Kombu gives them, and the wake list."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable
from dataclasses import dataclass

#: Hints that a wake list keeps. One hint wakes one waiting worker.
HINTS_KEPT = 16

#: Milliseconds that a wake list lives. A hint only has to bridge the moment between a claim that
#: found nothing and the wait that follows it.
HINTS_LIVE_MS = 60_000


@dataclass(frozen=True)
class Keys:
    """Full key names of one broker configuration."""

    #: `global_keyprefix`.
    prefix: str
    #: Between a queue's name and a priority step.
    sep: str
    #: Ascending.
    steps: tuple[int, ...]
    #: Hash of what is delivered and not yet settled, without prefix.
    unacked_key: str
    #: Sorted set of when it was delivered, without prefix.
    unacked_index_key: str
    #: Whether the highest step is consumed first, as AMQP has it; Kombu's Redis has it reversed.
    highest_first: bool = False

    @property
    def unacked(self) -> str:
        """Return the hash of deliveries: tag to message and queue."""
        return self.prefix + self.unacked_key

    @property
    def index(self) -> str:
        """Return the sorted set of leases: tag to score."""
        return self.prefix + self.unacked_index_key

    def queue(self, queue: str, priority: int = 0) -> str:
        """Return the list that holds messages of this priority."""
        step = self.steps[bisect(self.steps, priority) - 1]
        return f"{self.prefix}{queue}{self.sep}{step}" if step else self.prefix + queue

    def lists(self, queue: str) -> list[str]:
        """Return the lists of all priority steps, the most urgent first."""
        steps = reversed(self.steps) if self.highest_first else self.steps
        return [self.queue(queue, step) for step in steps]

    def wake(self, queue: str) -> str:
        """Return the wake list; named like a priority step, so that no queue can have its name."""
        return f"{self.prefix}{queue}{self.sep}wake"

    def wakes(self, queues: Iterable[str]) -> list[str]:
        """Return the wake lists of these queues."""
        return [self.wake(queue) for queue in queues]
