"""Which of several beats leads a group: the one whose token is in RedBeat's lock."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import redis

from purista_celery.errors import NotLeading
from purista_celery.schedules.clock import LedgerClock
from purista_celery.schedules.keys import GroupKeys
from purista_celery.schedules.scripts import Scripts
from purista_celery.schedules.silence import Silence, Spell, Wakefulness, silences

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
#: A beat that waited for an answer which never came (``beat.PATIENCE``) has asked again by then.
_ASKS_AGAIN = timedelta(seconds=4)

Wish = Literal["lead", "look", "leave"]


@dataclass(frozen=True, slots=True)
class Term:
    """One uninterrupted spell of leadership."""

    began: datetime


class Leadership:
    """This beat's claim to lead one group. It steps down by itself when the lock is lost."""

    def __init__(
        self,
        scripts: Scripts,
        keys: GroupKeys,
        length: timedelta,
        clock: LedgerClock,
        awake: Wakefulness,
    ) -> None:
        self._scripts = scripts
        self._keys = keys
        self._length = length
        self._clock = clock
        self._awake = awake
        #: What is in the lock while this beat leads, as redis-py's own lock has it.
        self.token = uuid.uuid4().hex
        #: The current term, or None while another leads.
        self.term: Term | None = None
        #: When no beat was running, the oldest first, as far as the ledger knows.
        self.silences: tuple[Silence, ...] = ()
        self._went_back = timedelta(0)
        self._renewed_at = clock.counter()
        #: When the ledger last answered, by the counter and by its own clock.
        self._told = float("-inf")
        self._answered: datetime | None = None
        self._reaching_since: float | None = None

    @property
    def knows_all(self) -> bool:
        """Whether every beat that runs has had the time to tell the ledger since when.

        While the ledger was away none could. The first that reaches it again must not take for
        silence what another one was awake in.
        """
        if self._reaching_since is None:
            return False
        reaching = timedelta(seconds=self._clock.counter() - self._reaching_since)
        return reaching >= max(2 * self._awake.patience, _ASKS_AGAIN)

    def went_back(self) -> timedelta:
        """Return by how much the ledger's clock has gone back since this was last asked."""
        found, self._went_back = self._went_back, timedelta(0)
        return found

    def hold(self) -> Term | None:
        """Take or renew the lock, and return the term; None while another beat leads.

        None, too, while this machine's clock does not agree with the ledger's: another leads then.
        """
        if not self._clock.agrees:
            self._ask("look")
        before = self._clock.counter()
        verdict = self._ask("lead") if self._clock.agrees else "refused"
        if not self._clock.agrees:
            if verdict != "refused":
                self._ask("leave")
            verdict = "refused"
        self._renewed_at = before
        if verdict == "refused":
            self.term = None
        elif verdict == "taken" or self.term is None:
            self.term = Term(began=self._clock.now())
        return self.term

    def confirm(self) -> None:
        """Renew the lock in the middle of a tick, if a third of it has passed.

        Raises:
            NotLeading: it was lost, even if it is held again.
        """
        passed = timedelta(seconds=self._clock.counter() - self._renewed_at)
        if passed < self._length / 3:
            return
        term = self.term
        if self.hold() is not term:
            self.step_down()
            raise NotLeading(f"Group {self._keys.group!r}: the lock was lost.")

    def step_down(self) -> None:
        """Forget that this beat leads; the lock stays as it is."""
        self.term = None

    def release(self) -> None:
        """Let another beat lead at once."""
        self.term = None
        self._ask("leave")

    def _ask(self, wish: Wish) -> str:
        """Say when this beat has been looking, and return the verdict on what it wishes."""
        asked, keys = self._clock.ask(), self._keys
        spells = self._awake.since(self._told)
        ever_since = asked.counter - spells[-1][0] <= self._told
        try:
            answer: Any = self._scripts.lead(
                keys=[keys.lock, keys.waiting, keys.looked],
                args=[
                    self.token,
                    wish,
                    self._length // _MILLISECOND,
                    self._awake.patience // _MILLISECOND,
                    _milliseconds(self._clock.to_tell()),
                    _milliseconds(self._answered),
                    "1" if ever_since else "",
                    *(int(1000 * seconds) for spell in spells for seconds in spell),
                ],
            )
        except redis.RedisError:
            self._reaching_since = None
            raise
        verdict, now, back, *times = answer
        self._clock.hear(asked, _instant(now))
        self._told, self._answered = asked.counter, _instant(now)
        self._reaching_since = self._reaching_since or asked.counter
        self._went_back = max(self._went_back, int(back) * _MILLISECOND)
        moments = [_instant(moment) for moment in times]
        self.silences = silences([*map(Spell, moments[::2], moments[1::2])])
        return str(verdict)


def _milliseconds(instant: datetime | None) -> int | str:
    return "" if instant is None else (instant - _EPOCH) // _MILLISECOND


def _instant(milliseconds: str) -> datetime:
    return _EPOCH + int(milliseconds) * _MILLISECOND
