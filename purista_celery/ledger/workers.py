"""Which workers are alive, as far as the ledger can tell.

Silence is no proof by itself: while the ledger stalls or is away nobody can say anything. So it
remembers since when workers have been heard from without a gap, and nobody is taken for dead until
that is as long as a worker may be silent. All of it is by Redis' own clock, and in one step each.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import redis

from purista_celery.ledger.connection import available
from purista_celery.ledger.keys import heard_key, workers_key
from purista_celery.ledger.scripts import Scripts
from purista_celery.ledger.spans import milliseconds

#: How often a worker announces itself, and for how long no worker at all may be heard from, as
#: parts of the time for which one may be silent: several announcements may get lost or come late.
ANNOUNCEMENTS_PER_LIFE = 10
GAPS_PER_LIFE = 3
#: Jobs that a worker held have been taken from it by then, or their leases have run out.
_FORGOTTEN_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Look:
    """Who was found dead, and until when that may be acted upon."""

    #: Workers that were silent for longer than they may be, while others were heard.
    dead: tuple[str, ...]
    #: A lease that was renewed before this (ms) may have passed because nobody could renew it.
    renewable_since: int
    #: Milliseconds since the epoch, by Redis' clock. Who was held up for longer must look again.
    until: int


class Workers:
    """The workers of one namespace. Times are Redis' own."""

    def __init__(self, client: redis.Redis, namespace: str, scripts: Scripts) -> None:
        self.client = client
        self.namespace = namespace
        self._scripts = scripts
        self._keys = [workers_key(namespace), heard_key(namespace)]

    def announce(self, worker_id: str, ttl: timedelta) -> int:
        """Say that a worker is alive, for ``ttl`` from now.

        Returns:
            Since when (ms) workers have been heard from without a gap. When that changes, nobody
            could be heard for a while, and leases may have run out meanwhile.
        """
        life = milliseconds(ttl)
        with available():
            return int(
                self._scripts.announce(
                    keys=self._keys, args=[worker_id, life, life // GAPS_PER_LIFE]
                )
            )

    def retire(self, worker_id: str) -> None:
        """Say that a worker has ended in good order."""
        with available():
            self.client.zrem(workers_key(self.namespace), worker_id)

    def look(self, ttl: timedelta) -> Look | None:
        """Return which workers are dead; None where nothing can be told from silence.

        Args:
            ttl: for how long a worker may be silent.
        """
        life, gap = milliseconds(ttl), milliseconds(ttl) // GAPS_PER_LIFE
        with available():
            answer = self._scripts.silent(
                keys=self._keys, args=[gap, life, milliseconds(_FORGOTTEN_AFTER)]
            )
        if answer[0] == "deaf":
            return None
        verdict, now, since, *dead = answer
        return Look(tuple(dead), 0 if verdict == "sure" else int(since), int(now) + gap)

    def now_ms(self) -> int:
        """Return Redis' time in milliseconds since the epoch."""
        with available():
            seconds, microseconds = self.client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000
