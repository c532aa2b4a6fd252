"""What a process says of servers that are away: once that they are, and once that it is over."""

from __future__ import annotations

import logging
import time

from purista_celery.refusals import answered, reason, verdict

log = logging.getLogger(__name__)


class Outage:
    """Whether a server takes what this process asks of it: says once that it does not, and once
    that it does again. Safe to share between threads.

    Args:
        name: what the server is to us.
    """

    #: Seconds without a refusal after which a server that answers is believed to be well: while one
    #: refuses to write, it goes on answering those who read.
    QUIET = 3.0

    def __init__(self, name: str) -> None:
        self._name = name
        # A dictionary, because its steps are whole: no lock that a fork might inherit.
        self._since: dict[str, float] = {}
        self._last = 0.0
        self._well_at = 0.0
        self._answers = False

    @property
    def since(self) -> float | None:
        """Since when it has been away, by the process' clock; None while it is not."""
        return self._since.get("it")

    def begins(self, error: BaseException) -> None:
        """Notice that the server did not take what it was asked."""
        now = time.monotonic()
        if self._since and self._well_at > self._last and now - self._last > self.QUIET:
            # It was over before anybody who asks seldom could be sure of it.
            self._say_that_it_is_over()
        self._last = now
        self._answers = answered(error)
        if self._since.setdefault("it", now) == now:
            log.warning(
                "The %s takes no commands: %s. What is to be done is tried again until it does.",
                self._name,
                reason(error),
            )

    def ends(self) -> None:
        """Notice that the server did what it was asked."""
        if not self._since:
            return
        self._well_at = time.monotonic()
        if not self._answers or self._well_at - self._last >= self.QUIET:
            self._say_that_it_is_over()

    def _say_that_it_is_over(self) -> None:
        if self._since.pop("it", None) is not None:
            log.warning("The %s takes commands again.", self._name)


#: This process' broker and ledger.
BROKER = Outage("broker")
LEDGER = Outage("ledger")


class OncePerOutage(logging.Filter):
    """Lets what others say at each try through once an outage, as long as it is about that."""

    def __init__(self) -> None:
        super().__init__()
        self._outages: tuple[float | None, ...] = ()
        self._said: set[tuple[str, str]] = set()

    def watch(self, logger: logging.Logger) -> None:
        """Look at what ``logger`` is given, before its other filters turn errors into texts."""
        others = [each for each in logger.filters if each is not self]
        for each in others:
            logger.removeFilter(each)
        for each in (self, *others):
            logger.addFilter(each)

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is to be shown (called by logging)."""
        outages = BROKER.since, LEDGER.since
        if not any(outages) or not self._is_about_one(record):
            return True
        if outages != self._outages:
            self._outages, self._said = outages, set()
        key = record.name, str(record.msg)
        said = key in self._said
        self._said.add(key)
        return not said

    @staticmethod
    def _is_about_one(record: logging.LogRecord) -> bool:
        args = record.args if isinstance(record.args, tuple) else ()
        return any(isinstance(each, BaseException) and verdict(each) is not None for each in args)
