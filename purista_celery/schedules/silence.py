"""When beats have been looking, and so when nobody was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

#: Spells of this process that are kept until the ledger has heard of them.
_KEPT = 20


@dataclass(frozen=True, slots=True)
class Silence:
    """No beat was running between these instants (the first excluded, the last included)."""

    after: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Spell:
    """Some beat was looking, without a break, between these instants of the ledger's clock."""

    began: datetime
    ended: datetime


def silences(spells: Sequence[Spell]) -> tuple[Silence, ...]:
    """Return what lies between spells, the oldest first."""
    return tuple(Silence(before.ended, after.began) for before, after in pairwise(spells))


class Wakefulness:
    """When this process has been looking: not while it was suspended, stopped or starved.

    Whether the ledger could be reached makes no difference. One for all groups of a process: what
    holds up a look at one group is no sleep for the others.

    Args:
        counter: seconds that pass, from any start.
        patience: a pause between two looks up to here is no break.
    """

    def __init__(self, counter: Callable[[], float], patience: timedelta) -> None:
        self._counter = counter
        self.patience = patience
        now = counter()
        #: From when to when, by the counter; the last one goes on.
        self._spells = [(now, now)]

    def look_begins(self) -> None:
        """Note that a look begins: a long time after the last one has ended, a new spell does."""
        now = self._counter()
        began, ended = self._spells[-1]
        if now - ended > self.patience.total_seconds():
            self._spells = [*self._spells, (now, now)][-_KEPT:]
        else:
            self._spells[-1] = (min(began, now), now)

    def look_ended(self) -> None:
        """Note that a look has ended, however long it took."""
        began, _ = self._spells[-1]
        self._spells[-1] = (began, self._counter())

    def since(self, told: float) -> tuple[tuple[float, float], ...]:
        """Return how many seconds ago each spell began and ended that has not ended before."""
        now = self._counter()
        *past, (began, _) = self._spells
        found = [spell for spell in past if spell[1] > told]
        return tuple((now - start, now - end) for start, end in [*found, (min(began, now), now)])
