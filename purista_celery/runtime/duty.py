"""What a worker sees to for ever, besides its jobs: each duty in a thread of its own.

A duty that waits (for a server, for a lock, for its turn) holds up no other, and comes late rather
than never. Each has connections of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from datetime import timedelta

from purista_celery.errors import PuristaError
from purista_celery.producer.events import BROKER_ERRORS
from purista_celery.refusals import verdict

log = logging.getLogger(__name__)

#: Seconds until it is said again that a duty can not be done.
SAID_AGAIN = 60.0


class Duty(threading.Thread):
    """Looks again and again until :meth:`stop`.

    Args:
        name: of the thread, and in the log.
        every: pause between two looks that found nothing.
    """

    def __init__(self, name: str, every: timedelta) -> None:
        super().__init__(name=f"purista-{name}", daemon=True)
        self._every = every.total_seconds()
        self._stopping = threading.Event()
        self._wanted = threading.Event()
        self._trouble = Trouble(name)

    @abstractmethod
    def look(self) -> bool:
        """Do what is to be done now; tell whether there is more to do at once."""

    def run(self) -> None:
        """Look again and again."""
        while not self._stopping.is_set():
            if not self._trouble.tell(self.look):
                self._wanted.wait(self._every)
                self._wanted.clear()
        self.close()

    def wake(self) -> None:
        """Have it look at once."""
        self._wanted.set()

    def stop(self) -> None:
        """Ask the thread to end; it does so after the look that it is at."""
        self._stopping.set()
        self._wanted.set()

    def close(self) -> None:
        """Let go of what the thread has opened."""


class Trouble:
    """Says once that something fails, now and then that it still does, and once that it works.

    Of a server that is away the process says so itself, once (:mod:`purista_celery.outages`).
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._began: float | None = None
        self._said = 0.0
        self._level = logging.WARNING

    def tell(self, do: Callable[[], bool]) -> bool:
        """Return what ``do`` returns; False where it fails, and nothing is raised."""
        try:
            more = do()
        except (PuristaError, *BROKER_ERRORS) as error:
            self.begins(error)
            return False
        except Exception as error:
            # These threads are what keeps the promise: they outlive any one bad record.
            if self.begins(error):
                log.exception("%s failed", self._what)
            return False
        self.ends()
        return more

    def begins(self, error: BaseException) -> bool:
        """Say that it fails, unless that was said a moment ago; tell whether it was said."""
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        if self._said and now - self._said < SAID_AGAIN:
            return False
        self._said = now
        self._level = logging.WARNING if verdict(error) is None else logging.DEBUG
        waited = now - self._began
        log.log(self._level, "The %s waits (for %.0f s): %s", self._what, waited, error)
        return True

    def ends(self) -> None:
        """Say that it works again, if it did not."""
        if self._began is not None:
            waited = time.monotonic() - self._began
            log.log(self._level, "The %s goes on after %.0f s", self._what, waited)
        self._began, self._said = None, 0.0
