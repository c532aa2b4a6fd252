"""Hosting one scheduler group: lead it, keep it equal to the manifest, publish what is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import redis
from celery.utils.log import get_logger

from purista_celery.errors import (
    BeatConflict,
    BrokerUnavailable,
    InvalidMessage,
    LedgerUnavailable,
    NotLeading,
    PublishFailed,
    PuristaError,
)
from purista_celery.schedules.clock import TOLERANCE, GivenClock, LedgerClock, utc_now
from purista_celery.schedules.deployment import Deployment
from purista_celery.schedules.due import due, missed
from purista_celery.schedules.group import Group
from purista_celery.schedules.leadership import Leadership, Term
from purista_celery.schedules.occurrences import jitter
from purista_celery.schedules.outlet import Outlet
from purista_celery.schedules.scripts import Scripts
from purista_celery.schedules.silence import Wakefulness
from purista_celery.schedules.state import Drop, State
from purista_celery.schedules.store import Park, Step, Store, Stored, Tracked, batches
from purista_celery.schedules.sync import changes

__all__ = ["GroupHost", "patience_with", "utc_now"]

logger = get_logger("celery.beat")

#: Intervals for which a leader that can not publish leaves the lead to others.
ASIDE = 3
#: Occurrences of one schedule in one tick; the rest waits, so that no schedule starves others.
MAX_PER_TICK = 50


class GroupHost:
    """One group in this process. Any number of processes may host it; one of them leads.

    Args:
        interval: the longest that this process sleeps between two ticks.
        lock_length: for how long the lock of a leader that has died keeps others out.
        clock: the ledger's time, as this process knows it; or one of a test's, for all alike.
        awake: when this process has been looking, at whichever group.
    """

    def __init__(
        self,
        group: Group,
        client: redis.Redis,
        outlet: Outlet,
        *,
        interval: timedelta,
        lock_length: timedelta,
        clock: LedgerClock | Callable[[], datetime] | None = None,
        awake: Wakefulness | None = None,
    ) -> None:
        scripts = Scripts(client)
        self.group = group
        self._time = _clock_of(clock)
        self._clock = self._time.now
        self._awake = awake or Wakefulness(self._time.counter, patience_with(interval))
        self._patience = self._awake.patience
        self.leadership = Leadership(scripts, group.keys, lock_length, self._time, self._awake)
        self._client = client
        self._store = Store(client, scripts, group.keys, self.leadership.token)
        self._outlet = outlet
        self._interval = interval
        self._started = self._aside_until = self._time.counter()
        self._term: Term | None = None
        #: What was missed is not decided about yet: other beats have to be heard first.
        self._undecided = False
        self._complained = False
        self._synced = False
        #: Was published, and is written down with what is written next.
        self._owed: Step | None = None
        #: By how much the occurrence that is or was last published is late.
        self.lag = timedelta(0)

    def tick(self) -> float:
        """Do what is to be done now, and return after how many seconds to come again.

        Raises:
            redis.RedisError: the store is away.
            BrokerUnavailable: the broker is away; nothing was skipped.
            LedgerUnavailable: the ledger is away; nothing was skipped.
            NotLeading: another beat took over.
            BeatConflict: the group belongs to another application.
        """
        self._awake.look_begins()
        try:
            if self._time.counter() < self._aside_until:
                return self._interval.total_seconds()
            term = self.leadership.hold()
            self._report_clocks()
            if term is None:
                self._refuse_conflict()
                return self._interval.total_seconds()
            now = self._clock()
            if term is not self._term:
                self._take_over(term, now)
            self._fire(now)
            self._report_lag()
            return self._until_next_look()
        except BeatConflict:
            self.release()
            raise
        except BrokerUnavailable:
            self._step_aside()
            raise
        except (redis.RedisError, NotLeading):
            self.leadership.step_down()
            raise
        finally:
            self._awake.look_ended()

    def release(self) -> None:
        """Let another beat lead at once."""
        self._awake.look_begins()
        self.leadership.release()

    def _report_clocks(self) -> None:
        group, went_back = self.group.keys.group, self.leadership.went_back()
        if went_back > TOLERANCE:
            logger.warning(
                "beat: group %s: the ledger's clock has gone back by %.1f s. What was published "
                "for the time that comes once more is not published again.",
                *(group, went_back.total_seconds()),
            )
        if self._complained == (not self._time.agrees):
            return
        self._complained = not self._complained
        if self._complained:
            logger.error("beat: group %s: does not lead: %s", group, self._time.complaint())
        else:
            logger.warning("beat: group %s: this machine's clock agrees again", group)

    def _report_lag(self) -> None:
        if self.lag > self._patience:
            logger.warning(
                "beat: group %s: published up to %.1f s late",
                *(self.group.keys.group, self.lag.total_seconds()),
            )
        self.lag = timedelta(0)

    def _step_aside(self) -> None:
        """Let a beat lead whose line to the broker may be whole, if one is waiting."""
        if self._store.others_wait(self.leadership.token):
            self._aside_until = self._time.counter() + ASIDE * self._interval.total_seconds()
            self.release()

    def _take_over(self, term: Term, now: datetime) -> None:
        current = self._refuse_conflict()
        mine = self.group.deployment
        if mine.is_stale(current, self._time.at(self._started)):
            logger.warning(
                "beat: group %s: this beat's manifest, %s, is older than the one deployed, %s; "
                "what is deployed is fired. Restart this beat with the new manifest.",
                *(self.group.keys.group, mine, current),
            )
        elif not (self._synced and current is not None and current.digest == mine.digest):
            self._sync(now)
            self._synced = True
            if current is None or current.digest != mine.digest:
                self._store.deploy(mine.applied(now))
        self._term = term
        logger.info(
            "beat: leads group %s: %d schedules", self.group.keys.group, len(self.group.schedules)
        )

    def _refuse_conflict(self) -> Deployment | None:
        current, mine = self._store.deployment(), self.group.deployment
        if current is None or mine.is_same_application(current):
            return current
        raise BeatConflict(
            f"Scheduler group {self.group.keys.group!r} belongs to another application, {current}; "
            f"this one is {mine}. Give one of them another PURISTA_NAMESPACE or schedule group. If "
            f"the other is gone for good, delete the key {self.group.keys.deployment!r}."
        )

    def _sync(self, now: datetime) -> None:
        stored = list(self._store.load(sorted(self._store.names())))
        todo = changes(self.group, stored, now)
        for batch in batches(todo):
            self.leadership.confirm()
            self._store.apply(batch)

    def _fire(self, now: datetime) -> None:
        self._undecided = False
        found = self._store.due(now)
        readable = [tracked for stored in found if (tracked := self._read(stored))]
        # Decided for all before any is published: while the broker is away, none of them must
        # turn from missed into late.
        settled = [tracked for entry in readable if (tracked := self._settle_missed(entry))]
        if not settled:
            return
        with self._outlet.opened(self._client) as opened:
            try:
                for tracked in settled:
                    self._publish_due(opened, tracked, now)
            finally:
                self._pay()

    def _read(self, stored: Stored) -> Tracked | None:
        try:
            return stored.read()
        except (PuristaError, ValueError) as error:
            self._set_aside(stored.name, "read", error)
            return None

    def _set_aside(self, name: str, deed: str, error: Exception) -> None:
        logger.error("beat: %s can not be %s and is set aside: %s", name, deed, error)
        code = error.code if isinstance(error, PuristaError) else PuristaError.code
        self._store.apply([Park(name, code)])

    def _settle_missed(self, tracked: Tracked) -> Tracked | None:
        settled: Tracked | None = tracked
        for silence in self.leadership.silences:
            drop = missed(settled.schedule, settled.state, silence) if settled else None
            if settled and drop:
                settled = self._drop(settled, drop)
        return settled

    def _drop(self, tracked: Tracked, drop: Drop) -> Tracked | None:
        if not self.leadership.knows_all:
            self._undecided = True
            return None
        self.leadership.confirm()
        key, policy = tracked.schedule.key, tracked.schedule.missed_runs
        logger.warning("beat: %s: dropped %s missed occurrences (%s)", key, drop.counted, policy)
        return self._advance(
            Step(tracked, tracked.state.dropping(drop, tracked.schedule.expression), plan=True)
        )

    def _publish_due(self, outlet: Outlet, tracked: Tracked, now: datetime) -> None:
        found = due(tracked.schedule, tracked.state, now, MAX_PER_TICK)
        if not found:
            self._advance(Step(tracked, tracked.state, plan=True))
        following: Tracked | None = tracked
        try:
            for occurrence in found:
                if following:
                    following = self._publish(outlet, following, occurrence)
        except InvalidMessage as error:
            self._set_aside(tracked.schedule.key, "published", error)

    def _publish(self, outlet: Outlet, tracked: Tracked, occurrence: datetime) -> Tracked | None:
        now = self._clock()
        self.leadership.confirm()
        schedule, state = tracked.schedule, tracked.state
        if not outlet.make_way(schedule, state.published):
            logger.info(
                "beat: %s: skipped, jobs of the last occurrence are unfinished", schedule.key
            )
            return self._advance(Step(tracked, state.skipping(occurrence), plan=True))
        self.lag = max(self.lag, now - occurrence - jitter(schedule, occurrence))
        attempt = state.attempting(occurrence)
        # Redis refuses the step to a beat that does not lead: the check before each publish.
        if outlet.sends_at_once(schedule):
            self._pay()
            step = Step(tracked, attempt.fired(occurrence, now), plan=True, publishing=True)
            with self._noting_failure(tracked, attempt):
                condition = self._store.condition(step)
                answer = outlet.send_if(condition, schedule, occurrence, now, attempt.attempt)
            return self._store.reached([step], answer)[0]
        attempting = self._advance(Step(tracked, attempt, publishing=True))
        if attempting is None:
            return None
        with self._noting_failure(attempting, attempt):
            outlet.send(schedule, occurrence, now, attempt.attempt)
        self._owed = Step(attempting, attempt.fired(occurrence, now), plan=True)
        return self._owed.reached

    @contextmanager
    def _noting_failure(self, tracked: Tracked, attempt: State) -> Iterator[None]:
        try:
            yield
        except (BrokerUnavailable, LedgerUnavailable):
            # A broker that hangs may have outlasted the lock: then another leads, or nobody.
            if self.leadership.hold():
                self._advance(Step(tracked, attempt.failed(PublishFailed.code)))
            raise

    def _advance(self, step: Step) -> Tracked | None:
        """Write down a step, and in the same round trip what is owed."""
        if self._owed and self._owed.tracked.schedule.key == step.tracked.schedule.key:
            self._pay()
        owed, self._owed = self._owed, None
        return self._store.advance(*([owed] if owed else []), step)[-1]

    def _pay(self) -> None:
        """Write down what is owed."""
        owed, self._owed = self._owed, None
        if owed:
            self._store.advance(owed)

    def _until_next_look(self) -> float:
        look, limit = self._store.next_look(), self._interval.total_seconds()
        if self._undecided:
            return limit
        return limit if look is None else min(limit, max(0.0, look - self._clock().timestamp()))


def patience_with(interval: timedelta) -> timedelta:
    """Return up to where a pause between two looks is no silence: PURISTA's two intervals."""
    return 2 * interval


def _clock_of(clock: LedgerClock | Callable[[], datetime] | None) -> LedgerClock:
    if clock is None:
        return LedgerClock()
    return clock if isinstance(clock, LedgerClock) else GivenClock(clock)
