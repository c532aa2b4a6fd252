"""Queues whose messages do not come, though their jobs are offered again.

RabbitMQ (3.10) keeps the consumers of a quorum queue that is deleted and declared again within
milliseconds, and hands them messages that they never get, until their channel ends. The worker is
not told. What tells it is the ledger, which misses the jobs' claims.
"""

from __future__ import annotations

import time
from collections.abc import Collection


class Unheard:
    """When a queue's jobs were offered again of which nothing has come here since.

    The stager's thread writes it, and Celery's consumer; each call does one thing to a dictionary.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def offered(self, queue: str) -> None:
        """Note that messages of ``queue`` were missed, and sent again."""
        self._since.setdefault(queue, time.monotonic())

    def heard(self, queue: str) -> None:
        """Note that a message of ``queue`` has come."""
        self._since.pop(queue, None)

    @property
    def in_doubt(self) -> bool:
        """Whether there is any such queue."""
        return bool(self._since)

    def since(self, seconds: float, among: Collection[str]) -> list[str]:
        """Return those of ``among`` that nothing has come from for so long."""
        now = time.monotonic()
        # Copied in one step: the other thread may add to it.
        found = self._since.copy()
        return sorted(q for q, at in found.items() if now - at >= seconds and q in among)

    def forget(self) -> None:
        """Begin to count anew, for all queues."""
        self._since.clear()
