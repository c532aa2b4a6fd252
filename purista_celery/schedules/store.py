"""One group's schedules in Redis. All writing goes through the leader's scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any

import redis
from celery.utils.log import get_logger

from purista_celery.contracts.schedule import Schedule
from purista_celery.errors import NotLeading, ScheduleNotFound
from purista_celery.schedules.deployment import Deployment
from purista_celery.schedules.due import looked_at
from purista_celery.schedules.entry import schedule_of
from purista_celery.schedules.keys import GroupKeys
from purista_celery.schedules.scripts import Scripts
from purista_celery.schedules.state import Pause, State
from purista_celery.transport import Condition

logger = get_logger("celery.beat")

#: Entries in one round trip.
BATCH = 500
_NEVER = -1.0
_FIELDS = ["definition", "meta", "paused", "rejected"]
_REFUSALS = {"moved": "somebody else changed its progress", "paused": "it was paused"}


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as it lies in Redis, unread."""

    name: str
    definition: str | None
    meta: str | None
    #: When it is looked at next (s since the epoch), -1 for never; None if it is not planned.
    score: float | None
    #: An operator's pause.
    paused: str | None = None
    #: Code of why the manifest's entry is not fired.
    rejected: str | None = None

    @property
    def pause(self) -> Pause | None:
        """The pause, if it is paused."""
        return Pause.from_wire(self.paused) if self.paused else None

    def read(self) -> Tracked:
        """Read it.

        Raises:
            InvalidSchedule: the definition is malformed.
            InvalidMessage: the meta is malformed.
            ScheduleNotFound: there is no such entry.
            ValueError: the definition is not JSON.
        """
        if self.definition is None or self.meta is None:
            raise ScheduleNotFound(f"Schedule {self.name!r} is planned but not stored.")
        return Tracked(schedule_of(self.definition), State.from_wire(self.meta), self.meta)


@dataclass(frozen=True, slots=True)
class Tracked:
    """A schedule with its progress."""

    schedule: Schedule
    state: State
    #: The state's text in Redis: who changes it must have seen it.
    meta: str


@dataclass(frozen=True)
class Step:
    """The next progress of a schedule."""

    tracked: Tracked
    state: State
    #: Its next look is to be planned.
    plan: bool = False
    #: An occurrence is published after this, so it must not be paused.
    publishing: bool = False

    @cached_property
    def reached(self) -> Tracked:
        """The schedule once it is taken."""
        return Tracked(self.tracked.schedule, self.state, self.state.to_json())


@dataclass(frozen=True, slots=True)
class Put:
    """Store a schedule that is new or has changed."""

    schedule: Schedule
    definition: str
    state: State


@dataclass(frozen=True, slots=True)
class Drop:
    """Remove the entry of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class Park:
    """Keep the entry of that name, but don't look at it."""

    name: str
    #: Code of why.
    code: str


class Store:
    """Reads a group's entries and, for the holder of ``token``, changes them."""

    def __init__(self, client: redis.Redis, scripts: Scripts, keys: GroupKeys, token: str) -> None:
        self._client = client
        self._scripts = scripts
        self._keys = keys
        self._token = token

    def names(self) -> set[str]:
        """Return the names of the entries that a manifest brought."""
        names: Any = self._client.smembers(self._keys.statics)
        return set(names)

    def load(self, names: Iterable[str]) -> Iterator[Stored]:
        """Yield the entries of those names, in round trips of :data:`BATCH`."""
        for batch in batches(names):
            with self._client.pipeline(transaction=False) as pipe:
                for name in batch:
                    pipe.hmget(self._keys.entry(name), _FIELDS)
                    pipe.zscore(self._keys.schedule, self._keys.entry(name))
                answers = pipe.execute()
            for name, fields, score in zip(batch, answers[::2], answers[1::2], strict=True):
                yield Stored(name, fields[0], fields[1], score, *fields[2:])

    def due(self, now: datetime, limit: int = BATCH) -> list[Stored]:
        """Return up to ``limit`` entries that are to be looked at, the longest due first."""
        keys: Any = self._client.zrangebyscore(
            self._keys.schedule, 0, now.timestamp(), start=0, num=limit
        )
        return list(self.load(self._keys.name(key) for key in keys))

    def others_wait(self, token: str) -> bool:
        """Tell whether another beat than ``token``'s would lead."""
        waiting: Any = self._client.get(self._keys.waiting)
        return waiting not in (None, token)

    def deployment(self) -> Deployment | None:
        """Return who owns the group, and what was deployed last; None if nothing was."""
        text: Any = self._client.get(self._keys.deployment)
        return None if text is None else Deployment.from_wire(text)

    def deploy(self, deployment: Deployment) -> None:
        """Say that the group's entries are those of ``deployment``.

        Raises:
            NotLeading: another beat leads.
        """
        keys = [self._keys.lock, self._keys.deployment]
        if self._scripts.deploy(keys=keys, args=[self._token, deployment.to_json()]) != "done":
            raise self._not_leading()

    def next_look(self) -> float | None:
        """Return when an entry is to be looked at next (s since the epoch); None for never."""
        first: Any = self._client.zrangebyscore(
            self._keys.schedule, 0, "+inf", start=0, num=1, withscores=True
        )
        return first[0][1] if first else None

    def apply(self, changes: Sequence[Put | Drop | Park]) -> None:
        """Make the changes in one round trip.

        Raises:
            NotLeading: another beat leads; none or some of them were made.
        """
        with self._client.pipeline(transaction=False) as pipe:
            for change in changes:
                self._queue(change, pipe)
            if any(verdict != "done" for verdict in pipe.execute()):
                raise self._not_leading()

    def advance(self, *steps: Step) -> list[Tracked | None]:
        """Take steps, each of another schedule, in one round trip and in their order.

        Returns:
            what each schedule has come to; None where its progress is not what was read, or where
            it was paused.

        Raises:
            NotLeading: another beat leads.
        """
        keys, args = self._wording(steps)
        return self.reached(steps, self._scripts.advance(keys=keys, args=args))

    def condition(self, step: Step) -> Condition:
        """Return a step that is taken with what is published, or not at all."""
        keys, args = self._wording([step])
        return Condition(str(self._scripts.advance.script), keys, args)

    def reached(self, steps: Sequence[Step], verdicts: Sequence[str]) -> list[Tracked | None]:
        """Return what ``steps`` have come to, by what Redis says of each; see :meth:`advance`."""
        if not verdicts:
            raise self._not_leading()
        return [self._judge(step, verdict) for step, verdict in zip(steps, verdicts, strict=True)]

    def _wording(self, steps: Sequence[Step]) -> tuple[list[str], list[str]]:
        keys, args = [self._keys.lock, self._keys.schedule], [self._token]
        for step in steps:
            schedule, state = step.tracked.schedule, step.state
            look = str(score_of(schedule, state)) if step.plan else ""
            keys.append(self._keys.entry(schedule.key))
            args += [step.tracked.meta, step.reached.meta, look, "1" if step.publishing else ""]
        return keys, args

    def _judge(self, step: Step, verdict: str) -> Tracked | None:
        if verdict in {"done", "again"}:
            return step.reached
        logger.warning("beat: %s is left alone: %s", step.tracked.schedule.key, _REFUSALS[verdict])
        return None

    def _queue(self, change: Put | Drop | Park, pipe: Any) -> None:
        match change:
            case Put(schedule, definition, state):
                score = score_of(schedule, state)
                self._scripts.put(
                    keys=self._entry_keys(schedule.key),
                    args=[self._token, definition, state.to_json(), score, schedule.key],
                    client=pipe,
                )
            case Drop(name):
                self._scripts.drop(
                    keys=self._entry_keys(name), args=[self._token, name], client=pipe
                )
            case Park(name, code):
                self._scripts.park(
                    keys=self._entry_keys(name)[:3], args=[self._token, code], client=pipe
                )

    def _entry_keys(self, name: str) -> list[str]:
        keys = self._keys
        return [keys.lock, keys.entry(name), keys.schedule, keys.statics]

    def _not_leading(self) -> NotLeading:
        return NotLeading(f"Group {self._keys.group!r}: the lock was lost.")


def batches(names: Iterable[Any], size: int = BATCH) -> Iterator[list[Any]]:
    """Yield lists of up to ``size``."""
    rest = iter(names)
    while batch := list(islice(rest, size)):
        yield batch


def score_of(schedule: Schedule, state: State) -> float:
    """Return when a schedule is looked at next (s since the epoch), -1 for never."""
    look = looked_at(schedule, state)
    return _NEVER if look is None else look.timestamp()
