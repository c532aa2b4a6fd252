"""What an operator does to a stored schedule, whoever leads the group."""

from __future__ import annotations

from datetime import datetime

import redis

from purista_celery.errors import EntryMoved, ScheduleNotFound
from purista_celery.schedules.due import Between, paused_over
from purista_celery.schedules.keys import GroupKeys
from purista_celery.schedules.scripts import Scripts
from purista_celery.schedules.silence import Silence
from purista_celery.schedules.state import Pause
from purista_celery.schedules.store import Store, score_of


def pause(client: redis.Redis, keys: GroupKeys, name: str, now: datetime, reason: str) -> None:
    """Let no occurrence of an entry be published from here on.

    Raises:
        ScheduleNotFound: there is no such entry.
    """
    value = Pause(since=now, reason=reason).to_json()
    if Scripts(client).pause(keys=[keys.entry(name), keys.schedule], args=[value]) != "done":
        raise _not_found(name)


def resume(client: redis.Redis, keys: GroupKeys, name: str, now: datetime, what: Between) -> None:
    """Let its occurrences be published again, and decide about those that came due meanwhile.

    Raises:
        ScheduleNotFound: there is no such entry.
        EntryMoved: beat changed it just now; try again.
    """
    scripts = Scripts(client)
    (stored,) = Store(client, scripts, keys, token="").load([name])
    if stored.definition is None:
        raise _not_found(name)
    if stored.pause is None:
        return
    tracked = stored.read()
    span = Silence(after=stored.pause.since, until=now)
    drop = paused_over(tracked.schedule, tracked.state, span, what)
    state = tracked.state.resumed(now, drop, tracked.schedule.expression)
    verdict = scripts.resume(
        keys=[keys.entry(name), keys.schedule],
        args=[tracked.meta, state.to_json(), score_of(tracked.schedule, state), keys.changes],
    )
    if verdict != "done":
        raise EntryMoved(f"Schedule {name!r}: beat changed its progress just now. Try again.")


def _not_found(name: str) -> ScheduleNotFound:
    return ScheduleNotFound(
        f"Schedule {name!r} is not in the store: no beat has loaded a manifest with it yet."
    )
