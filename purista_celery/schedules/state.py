"""What is remembered of a schedule: how far it has been handled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from purista_celery.contracts.schedule import ScheduleExpression
from purista_celery.messages.envelope import Instant
from purista_celery.messages.wire import WireModel
from purista_celery.schedules.occurrences import next_after, to_milliseconds

#: Occurrences that are left out are counted up to here: to name them all takes time.
COUNT_LIMIT = 1000


class Gap(WireModel):
    """Occurrences in ``(after, until]`` that the missed-run policy drops."""

    after: Instant
    until: Instant


class Pause(WireModel):
    """An operator's pause."""

    since: Instant
    reason: str = ""


class State(WireModel):
    """One schedule's progress, as RedBeat's ``meta`` keeps it.

    Changed by the leader, and by an operator who resumes the schedule.
    """

    #: All occurrences up to here are handled: published or dropped.
    cursor: Instant
    #: Dropped stretches that the cursor has not passed yet, oldest first.
    gaps: tuple[Gap, ...] = ()
    #: The occurrence that was last about to be published, and how often.
    attempted: Instant | None = None
    attempt: int = 0
    #: The occurrence that was last published, and when.
    published: Instant | None = None
    published_at: Instant | None = None
    #: Counters since the schedule was first seen.
    runs: int = 0
    dropped: int = 0
    #: Occurrences left out because jobs of the one before were unfinished.
    skipped: int = 0
    #: What was missed up to here has been decided about: an operator resumed the schedule.
    decided: Instant | None = None
    #: Code of the error at the last attempt.
    error: str | None = None

    @classmethod
    def starting(cls, now: datetime) -> State:
        """Return the state of a schedule seen for the first time: nothing before ``now`` counts."""
        return cls(cursor=to_milliseconds(now))

    def restarted(self, now: datetime) -> State:
        """Return the state after the expression changed: what was not handled is void."""
        return self._with(cursor=to_milliseconds(now), gaps=(), attempted=None, attempt=0)

    def next_after(self, expression: ScheduleExpression, instant: datetime) -> datetime | None:
        """Return the first occurrence after ``instant`` that is not dropped."""
        occurrence = next_after(expression, instant)
        for gap in self.gaps:
            if occurrence is not None and gap.after < occurrence <= gap.until:
                occurrence = next_after(expression, gap.until)
        return occurrence

    def dropping(self, drop: Drop, expression: ScheduleExpression) -> State:
        """Return the state that leaves out ``drop``; the cursor passes what comes first."""
        gaps, cursor = [*self.gaps, drop.gap], self.cursor
        while gaps and _begins_with(gaps[0], next_after(expression, cursor)):
            cursor = gaps.pop(0).until
        return self._with(cursor=cursor, gaps=tuple(gaps), dropped=self.dropped + drop.count)

    def attempting(self, occurrence: datetime) -> State:
        """Return the state in which ``occurrence`` is about to be published, once more."""
        again = self.attempted == occurrence
        return self._with(attempted=occurrence, attempt=self.attempt + 1 if again else 1)

    def fired(self, occurrence: datetime, now: datetime) -> State:
        """Return the state after ``occurrence`` was published."""
        return self._with(
            cursor=occurrence,
            gaps=tuple(gap for gap in self.gaps if gap.until > occurrence),
            published=occurrence,
            published_at=to_milliseconds(now),
            runs=self.runs + 1,
            error=None,
        )

    def skipping(self, occurrence: datetime) -> State:
        """Return the state that leaves out ``occurrence``, for the sake of the one before."""
        return self._with(cursor=occurrence, skipped=self.skipped + 1, error=None)

    def resumed(self, now: datetime, drop: Drop | None, expression: ScheduleExpression) -> State:
        """Return the state after a pause, without ``drop`` of what came due in it."""
        state = self if drop is None else self.dropping(drop, expression)
        return state._with(decided=to_milliseconds(now))

    def failed(self, code: str) -> State:
        """Return the state after an attempt that failed."""
        return self._with(error=code)

    def _with(self, **changes: object) -> State:
        return self.model_copy(update=changes)


@dataclass(frozen=True, slots=True)
class Drop:
    """A decision to leave out occurrences: which, and how many they are."""

    gap: Gap
    #: Counted up to :data:`COUNT_LIMIT`.
    count: int

    @property
    def counted(self) -> str:
        """The count, for people."""
        return f"at least {self.count}" if self.count >= COUNT_LIMIT else str(self.count)


def _begins_with(gap: Gap, occurrence: datetime | None) -> bool:
    return occurrence is None or gap.after < occurrence <= gap.until
