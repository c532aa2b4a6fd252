"""Acknowledgements that wait to travel with the next claim, and never for long."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from time import monotonic, sleep

from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

#: Seconds an acknowledgement waits at most, also when no claim follows: the prefetch is full, the
#: consumer is cancelled, the event loop is blocked by a task, or the worker is draining.
LONGEST_WAIT = 0.2

#: Seconds between attempts while the broker is away.
RETRY_INTERVAL = 1.0

#: Seconds after which an acknowledgement that can not be sent is left to the end of its lease.
GIVE_UP_AFTER = 120.0

#: Seconds the thread stays when there is nothing to do.
IDLE = 5.0


class AckBuffer:
    """Delivery tags to acknowledge; any thread may add.

    Whoever sends a claim takes them along. What nobody took within `LONGEST_WAIT` a daemon thread
    sends, so an acknowledgement does not depend on the event loop going round.
    """

    def __init__(self, send: Callable[[Sequence[str]], None]) -> None:
        self._send = send
        self._tags: deque[str] = deque()
        self._takes = 0
        self._wanted = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._tags)

    def add(self, tag: str) -> None:
        """Let `tag` travel with the next claim."""
        self._tags.append(tag)
        if not self._wanted.is_set():
            self._watch()

    def take(self) -> list[str]:
        """Return what waits; the caller sends it, or gives it back with `put_back`."""
        self._takes += 1
        taken: list[str] = []
        while True:
            try:
                taken.append(self._tags.popleft())
            except IndexError:
                return taken

    def put_back(self, tags: Iterable[str]) -> None:
        """Take tags back whose sending failed, or may have: to send one twice is harmless."""
        for tag in tags:
            self.add(tag)

    def flush(self) -> None:
        """Send what waits now; on an error it waits on, and the error is raised."""
        tags = self.take()
        if not tags:
            return
        try:
            self._send(tags)
        except BaseException:
            self.put_back(tags)
            raise

    def _watch(self) -> None:
        with self._starting:
            self._wanted.set()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._send_what_waited_long, name="purista-acks", daemon=True
                )
                self._thread.start()

    def _send_what_waited_long(self) -> None:
        try:
            while self._stay():
                self._empty()
                self._wanted.clear()
                if self._tags:
                    self._wanted.set()
        finally:
            # Should the thread ever end with an error, the next acknowledgement starts another.
            self._wanted.clear()

    def _empty(self) -> None:
        failing_since: float | None = None
        while self._tags:
            takes = self._takes
            sleep(LONGEST_WAIT)
            if self._tags and self._takes == takes:
                failing_since = self._try_flush(failing_since)

    def _stay(self) -> bool:
        if self._wanted.wait(IDLE):
            return True
        with self._starting:
            if self._wanted.is_set():
                return True
            self._thread = None
            return False

    def _try_flush(self, failing_since: float | None) -> float | None:
        try:
            self.flush()
        except (RedisError, OSError) as error:
            since = failing_since or monotonic()
            if monotonic() - since > GIVE_UP_AFTER:
                logger.warning(
                    "%d acknowledgements could not be sent: %r. Their messages are delivered again "
                    "when their leases end.",
                    len(self.take()),
                    error,
                )
                return None
            sleep(RETRY_INTERVAL)
            return since
        return None
