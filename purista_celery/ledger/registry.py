"""Which queues there are in a namespace, and who serves them: a deploy may forget one, we do not.

Kept under names of its own, apart from jobs; none of it decides about a job.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from purista_celery.ledger.connection import available
from purista_celery.ledger.keys import workers_key
from purista_celery.ledger.ledger import Ledger

#: Milliseconds; a worker says what it serves a moment before or after it says that it lives.
_JUST_STARTED = 5_000
#: Milliseconds after which what a dead worker has said is forgotten.
_FORGOTTEN = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownQueue:
    """A queue that somebody has served or sent to."""

    name: str
    #: ``queue``, ``command``, ``subscription`` or ``binding``.
    kind: str
    service_name: str
    service_version: str
    #: The broker queue of its jobs' messages.
    broker_name: str
    #: The broker queue in which its events wait, and what it hears; empty for one that hears none.
    inbox: str = ""
    heard: str = ""


class Registry:
    """The queues of one namespace. All methods raise ``LedgerUnavailable``."""

    def __init__(self, ledger: Ledger) -> None:
        self._client = ledger.client
        self._workers = ledger.workers
        self._alive = workers_key(ledger.namespace)
        root = f"{{{ledger.namespace}}}:queues"
        #: Hash: what is known of each queue, JSON.
        self._known = root
        #: Sorted set: queues by when somebody has last said to serve them (ms).
        self._served = f"{root}:served"
        #: Hash: what each worker serves, JSON.
        self._servers = f"{root}:servers"

    def note(self, queue: KnownQueue) -> None:
        """Write down that there is such a queue, unless that is known."""
        with available():
            self._client.hsetnx(self._known, queue.name, json.dumps(asdict(queue)))

    def serve(self, worker_id: str, queues: Iterable[KnownQueue]) -> None:
        """Say which queues a worker serves from now on."""
        known: dict[Any, Any] = {each.name: json.dumps(asdict(each)) for each in queues}
        now = self._workers.now_ms()
        self._forget_the_dead(now)
        with available():
            pipe = self._client.pipeline()
            pipe.hset(self._servers, worker_id, json.dumps({"at": now, "queues": sorted(known)}))
            if known:
                pipe.hset(self._known, mapping=known)
                pipe.zadd(self._served, dict.fromkeys(known, now))
            pipe.execute()

    def retire(self, worker_id: str) -> None:
        """Say that a worker serves nothing any more; what it has served was served until now."""
        now = self._workers.now_ms()
        with available():
            names = _said(self._client.hget(self._servers, worker_id))["queues"]
            pipe = self._client.pipeline()
            pipe.hdel(self._servers, worker_id)
            if names:
                pipe.zadd(self._served, dict.fromkeys(names, now))
            pipe.execute()

    def unserved(self, but: Collection[str] = ()) -> dict[KnownQueue, datetime | None]:
        """Return the queues that no live worker serves, with when one last said that it does.

        Args:
            but: names that are left out.
        """
        now = self._workers.now_ms()
        with available():
            pipe = self._client.pipeline()
            pipe.hgetall(self._known)
            pipe.zrange(self._served, 0, -1, withscores=True)
            pipe.hgetall(self._servers)
            pipe.zrangebyscore(self._alive, f"({now}", "+inf")
            known, served, servers, alive = pipe.execute()
        busy = _served_by(servers, set(alive), now) | set(but)
        until = {name: datetime.fromtimestamp(at / 1000, UTC) for name, at in served}
        return {
            KnownQueue(**json.loads(text)): until.get(name)
            for name, text in sorted(known.items())
            if name not in busy
        }

    def find(self, name: str) -> KnownQueue | None:
        """Return what is known of a queue, if anything is."""
        with available():
            text: Any = self._client.hget(self._known, name)
        return None if text is None else KnownQueue(**json.loads(text))

    def forget(self, name: str) -> None:
        """Forget a queue."""
        with available():
            self._client.hdel(self._known, name)
            self._client.zrem(self._served, name)

    def _forget_the_dead(self, now: int) -> None:
        with available():
            servers: Any = self._client.hgetall(self._servers)
            alive = set(self._client.zrangebyscore(self._alive, f"({now}", "+inf"))
            old = [
                worker
                for worker, text in servers.items()
                if worker not in alive and _said(text)["at"] < now - _FORGOTTEN
            ]
            if old:
                self._client.hdel(self._servers, *old)


def _served_by(servers: Mapping[str, str], alive: Collection[str], now: int) -> set[str]:
    said = {worker: _said(text) for worker, text in servers.items()}
    return {
        name
        for worker, what in said.items()
        if worker in alive or what["at"] > now - _JUST_STARTED
        for name in what["queues"]
    }


def _said(text: Any) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(text or '{"at": 0, "queues": []}')
    return said
