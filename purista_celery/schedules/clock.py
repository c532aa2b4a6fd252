"""The time that beats go by: the ledger's, which all of them share.

A beat asks for it at each look, and counts on from there with a counter that no correction of its
own clock touches. Its own clock decides nothing; it is compared, because a machine or a ledger that
is wrong about the time is wrong about when schedules are due.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from purista_celery.errors import ClockDiffers
from purista_celery.schedules.occurrences import to_milliseconds

#: A beat whose clock differs from the ledger's by more than this does not lead.
TOLERANCE = timedelta(seconds=1)
_NONE = timedelta(0)
#: Counts on while the machine is suspended, where there is such a counter.
_COUNTER = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def utc_now() -> datetime:
    """Return this machine's time in UTC, as fine as it travels."""
    return to_milliseconds(datetime.now(UTC))


def counter() -> float:
    """Return seconds since the machine was started."""
    return time.clock_gettime(_COUNTER)


@dataclass(frozen=True, slots=True)
class Asked:
    """The moment at which the ledger was asked for the time."""

    wall: datetime
    counter: float


class LedgerClock:
    """The ledger's time, as this process knows it.

    Args:
        wall: this machine's time.
        counter: seconds that pass, from any start.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = utc_now,
        counter: Callable[[], float] = counter,
    ) -> None:
        self._wall = wall
        self.counter = counter
        self._heard: Asked | None = None
        #: By how much at least this machine's clock is ahead of the ledger's, negative if behind.
        self.ahead = _NONE
        #: Whether this machine's clock agrees with the ledger's, as far as it is known.
        self.agrees = False
        self._limit = TOLERANCE

    def now(self) -> datetime:
        """Return the ledger's time, or a little less; until it was heard, this machine's."""
        if self._heard is None:
            return self._wall()
        passed = timedelta(seconds=self.counter() - self._heard.counter)
        return to_milliseconds(self._heard.wall + passed)

    def at(self, counter: float) -> datetime:
        """Return the ledger's time at a reading of the counter."""
        return self.now() - timedelta(seconds=self.counter() - counter)

    def to_tell(self) -> datetime | None:
        """Return a time that is to stand for the ledger's own; None in all but tests."""
        return None

    def ask(self) -> Asked:
        """Return what :meth:`hear` needs of the moment before the ledger is asked."""
        return Asked(self._wall(), self.counter())

    def hear(self, asked: Asked, answer: datetime) -> None:
        """Go by the ledger's ``answer`` from here on, and compare this machine's clock with it.

        The answer was given at some moment of the round trip. What may be due to that is no
        difference: a ledger that is slow to answer must not pass for a clock that is wrong.
        """
        now = self.counter()
        self._heard = Asked(answer, now)
        least = asked.wall - answer
        most = least + timedelta(seconds=now - asked.counter)
        self.ahead = max(least, min(most, _NONE))
        self.agrees = abs(self.ahead) <= self._limit
        # Back within half of it, so that a clock at the edge does not lead by turns.
        self._limit = TOLERANCE if self.agrees else TOLERANCE / 2

    def complaint(self) -> ClockDiffers:
        """Return what is to be said of a clock that does not agree."""
        seconds = abs(self.ahead).total_seconds()
        side = "ahead of" if self.ahead > _NONE else "behind"
        return ClockDiffers(
            f"This machine's clock is at least {seconds:.1f} s {side} the ledger's Redis, which "
            f"all beats go by; expected at most {TOLERANCE.total_seconds():.0f} s. Correct it, or "
            f"the Redis server's if that is wrong (both should run NTP); this beat leads then."
        )


class GivenClock(LedgerClock):
    """A time that a test gives, for the machine and the ledger alike."""

    def __init__(self, source: Callable[[], datetime]) -> None:
        super().__init__(source, lambda: source().timestamp())
        self.agrees = True
        self._source = source

    def now(self) -> datetime:
        return self._source()

    def to_tell(self) -> datetime | None:
        return self._source()

    def hear(self, asked: Asked, answer: datetime) -> None:
        """Nothing is to be learnt."""
