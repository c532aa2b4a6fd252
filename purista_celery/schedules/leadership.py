"""Which of several beats leads a group: the one whose token is in RedBeat's lock."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from purista_celery.errors import NotLeading
from purista_celery.schedules.keys import GroupKeys
from purista_celery.schedules.scripts import Scripts

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Term:
    """One uninterrupted spell of leadership."""

    began: datetime
    #: Until when a leader before had looked at all; None if there was none.
    evaluated: datetime | None
    #: Since when there has always been a beat that looked, as leader or waiting to lead.
    awake_since: datetime


class Leadership:
    """This beat's claim to lead one group. It steps down by itself when the lock is lost."""

    def __init__(
        self, scripts: Scripts, keys: GroupKeys, length: timedelta, patience: timedelta
    ) -> None:
        self._scripts = scripts
        self._keys = keys
        self._length = length
        self._patience = patience
        self._awake_since: datetime | None = None
        #: What is in the lock while this beat leads, as redis-py's own lock has it.
        self.token = uuid.uuid4().hex
        #: The current term, or None while another leads.
        self.term: Term | None = None
        self._renewed_at = _EPOCH

    def hold(
        self,
        now: datetime,
        evaluated: datetime | None = None,
        awake_since: datetime | None = None,
    ) -> Term | None:
        """Take or renew the lock, and return the term; None while another beat leads.

        Args:
            awake_since: since when this beat has been looking; as before, or from now on.
            evaluated: until when this leader has looked at all; the next leader starts from there.
        """
        mark = "" if evaluated is None or self.term is None else _milliseconds(evaluated)
        self._awake_since = awake_since or self._awake_since or now
        keys = self._keys
        verdict, before, looking = self._scripts.lead(
            keys=[keys.lock, keys.evaluated, keys.waiting, keys.awake],
            args=[
                self.token,
                self._length // _MILLISECOND,
                mark,
                _milliseconds(now),
                _milliseconds(self._awake_since),
                self._patience // _MILLISECOND,
            ],
        )
        self._renewed_at = now
        if verdict == "refused":
            self.term = None
        elif verdict == "taken" or self.term is None:
            since = _EPOCH + int(looking) * _MILLISECOND
            self.term = Term(began=now, evaluated=_instant(before), awake_since=since)
        return self.term

    def confirm(self, now: datetime) -> None:
        """Renew the lock in the middle of a tick, if a third of it has passed.

        Raises:
            NotLeading: it was lost, even if it is held again.
        """
        if now - self._renewed_at < self._length / 3:
            return
        term = self.term
        if self.hold(now) is not term:
            self.step_down()
            raise NotLeading(f"Group {self._keys.group!r}: the lock was lost.")

    def step_down(self) -> None:
        """Forget that this beat leads; the lock stays as it is."""
        self.term = None

    def release(self) -> None:
        """Let another beat lead at once."""
        self.term = None
        self._scripts.release(keys=[self._keys.lock], args=[self.token])


def _milliseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MILLISECOND


def _instant(milliseconds: str) -> datetime | None:
    return _EPOCH + int(milliseconds) * _MILLISECOND if milliseconds else None
