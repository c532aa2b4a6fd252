"""Waiting for the next tick, or for somebody who changes what is due."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import redis

from purista_celery.errors import PuristaError

#: Seconds between two tries to listen, while the store is away; and between two looks at whether
#: to stop.
_PAUSE = 0.5


class Bell:
    """Listens on the channels that a change of a schedule is announced on, in a thread.

    A store that does not answer so holds up no wait: what was not heard is seen at the next tick.
    """

    def __init__(self, client: redis.Redis, channels: Sequence[str]) -> None:
        self._client = client
        self._channels = channels
        self._rung = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="purista-bell", daemon=True)

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``, or as soon as something has changed."""
        if self._channels and not self._thread.is_alive():
            self._thread.start()
        if self._rung.wait(seconds):
            self._rung.clear()

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(2 * _PAUSE)

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                with self._client.pubsub(ignore_subscribe_messages=True) as channels:
                    channels.subscribe(*self._channels)
                    while not self._closed.is_set():
                        if channels.get_message(timeout=_PAUSE):
                            self._rung.set()
            except (redis.RedisError, PuristaError, OSError):
                # What it is, who serves the groups says.
                self._closed.wait(_PAUSE)
