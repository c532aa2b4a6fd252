"""Which workers are alive, as far as the ledger can tell."""

from __future__ import annotations

from datetime import timedelta

import redis

from purista_celery.ledger.connection import available
from purista_celery.ledger.keys import presence_channel, workers_key
from purista_celery.ledger.spans import milliseconds


class Workers:
    """The workers of one namespace. Times are Redis' own."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    def announce(self, worker_id: str, ttl: timedelta) -> None:
        """Say that a worker is alive, for ``ttl`` from now."""
        with available():
            until = self.now_ms() + milliseconds(ttl)
            self.client.zadd(workers_key(self.namespace), {worker_id: until})

    def retire(self, worker_id: str) -> None:
        """Say that a worker has ended in good order."""
        with available():
            self.client.zrem(workers_key(self.namespace), worker_id)

    def dead_workers(self) -> list[str]:
        """Return the workers whose announcement has run out."""
        with available():
            now = self.now_ms()
            key = workers_key(self.namespace)
            # By then its jobs have been taken from it, or their leases have run out.
            self.client.zremrangebyscore(key, "-inf", now - 3_600_000)
            return [str(worker) for worker in self.client.zrangebyscore(key, "-inf", now)]

    def is_present(self, worker_id: str) -> bool:
        """Tell whether a worker's main process is connected, as the kernel sees it."""
        with available():
            channel = presence_channel(self.namespace, worker_id)
            return any(count for _, count in self.client.pubsub_numsub(channel))

    def now_ms(self) -> int:
        """Return Redis' time in milliseconds since the epoch."""
        with available():
            seconds, microseconds = self.client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000
