"""Schedules: PURISTA's six steps of a scheduler provider (``assertSchedulerProviderContract``).

There a provider claims, completes and releases single occurrences. Here one beat at a time leads a
group and writes its progress down before and after each publish, so the steps read:

==========================  =======================================================================
claim an occurrence         lead the group, and write down that the occurrence is being published
claim id                    the leader's token, and the progress as it was read
complete                    write down that it was published: the cursor passes it
release                     give the lead up; the next leader publishes it again, as its attempt 2
durable, distributed        another process, with connections of its own, finds the same
==========================  =======================================================================
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from purista_celery import endpoints
from purista_celery.contracts.schedule import Interval, Schedule
from purista_celery.errors import EntryMoved, NotLeading
from purista_celery.ledger.connection import connect
from purista_celery.schedules.clock import GivenClock
from purista_celery.schedules.due import due
from purista_celery.schedules.entry import definition_of
from purista_celery.schedules.group import Group
from purista_celery.schedules.host import GroupHost
from purista_celery.schedules.keys import GroupKeys
from purista_celery.schedules.leadership import Leadership
from purista_celery.schedules.outlet import Outlet
from purista_celery.schedules.scripts import Scripts
from purista_celery.schedules.silence import Wakefulness
from purista_celery.schedules.state import State
from purista_celery.schedules.store import Put, Step, Store, Tracked
from purista_celery.testing.bench import Bench, expect

#: Longer than a case: nobody takes over because time has passed.
LOCK = timedelta(minutes=1)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=10)


@dataclass
class Beat:
    """What a beat process has of its own."""

    leadership: Leadership
    store: Store

    def read(self, schedule: Schedule) -> Tracked:
        """Return the schedule's progress, as this process finds it."""
        [stored] = self.store.load([schedule.key])
        return stored.read()

    def claim(self, schedule: Schedule) -> Tracked:
        """Write down that the one occurrence that is due is about to be published."""
        tracked = self.read(schedule)
        [occurrence] = due(schedule, tracked.state, LATER, 2)
        attempting = tracked.state.attempting(occurrence)
        return _taken(self.store.advance(Step(tracked, attempting, publishing=True)))

    def complete(self, tracked: Tracked) -> Tracked:
        """Write down that it was published."""
        fired = tracked.state.fired(tracked.state.attempted or LATER, LATER)
        return _taken(self.store.advance(Step(tracked, fired, plan=True)))


class Stage:
    """One group with one occurrence that is due, and beats that share it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.schedule = _schedule(timedelta(seconds=10))
        self._keys = GroupKeys(bench.settings.namespace, f"group-{uuid.uuid4().hex[:8]}")

    def beat(self) -> Beat:
        """Return another beat, on connections of its own."""
        client = connect(endpoints.resolve(self.bench.settings).ledger_url)
        scripts = Scripts(client)
        clock = GivenClock(lambda: LATER)
        awake = Wakefulness(clock.counter, timedelta(seconds=2))
        leadership = Leadership(scripts, self._keys, LOCK, clock, awake)
        return Beat(leadership, Store(client, scripts, self._keys, leadership.token))

    def leader(self) -> Beat:
        """Return a beat that leads, with the schedule stored."""
        beat = self.beat()
        term = beat.leadership.hold()
        expect(term, "that the first beat leads", term)
        beat.store.apply([Put(self.schedule, definition_of(self.schedule), State.starting(NOON))])
        return beat


def a_first_claim_succeeds(bench: Bench) -> None:
    """The first beat leads, and may publish what is due (step 1)."""
    stage = Stage(bench)
    tracked = stage.leader().claim(stage.schedule)
    came = (tracked.state.attempted, tracked.state.attempt)
    expect(came == (LATER, 1), "the first attempt at the occurrence", came)


def a_second_claim_is_refused_meanwhile(bench: Bench) -> None:
    """While one beat leads, no other leads or publishes (step 2)."""
    stage = Stage(bench)
    stage.leader().claim(stage.schedule)
    second = stage.beat()
    term = second.leadership.hold()
    expect(term is None, "that the second beat does not lead", term)
    _refused(lambda: second.claim(stage.schedule), "its publishing")


def a_stale_claim_completes_nothing(bench: Bench) -> None:
    """Neither a beat that lost the lead, nor progress that has moved, is written down (step 3)."""
    stage = Stage(bench)
    first = stage.leader()
    stale = first.claim(stage.schedule)
    first.leadership.release()
    second = stage.beat()
    second.leadership.hold()
    _refused(lambda: first.complete(stale), "the completion by a beat that lost the lead")
    moved = second.claim(stage.schedule)
    _refused(lambda: second.complete(stale), "the completion of progress that has moved")
    cursor = second.read(stage.schedule).state.cursor
    expect(cursor == moved.state.cursor == NOON, "a cursor where it was", cursor)


def a_released_occurrence_is_claimed_again(bench: Bench) -> None:
    """What a beat gave up before it was published is the next one's second attempt (step 4)."""
    stage = Stage(bench)
    first = stage.leader()
    first.claim(stage.schedule)
    first.leadership.release()
    second = stage.beat()
    term = second.leadership.hold()
    expect(term, "that the second beat leads", term)
    state = second.claim(stage.schedule).state
    came = (state.attempted, state.attempt)
    expect(came == (LATER, 2), "the second attempt at the same occurrence", came)


def a_completed_occurrence_is_not_due_again(bench: Bench) -> None:
    """After it was published, an occurrence is not due again (step 5)."""
    stage = Stage(bench)
    beat = stage.leader()
    beat.complete(beat.claim(stage.schedule))
    again = due(stage.schedule, beat.read(stage.schedule).state, LATER, 2)
    expect(again == (), "nothing due", again)


def a_replica_finds_the_same(bench: Bench) -> None:
    """Another process publishes neither what is published nor what is being published (step 6)."""
    stage = Stage(bench)
    first, replica = stage.leader(), stage.beat()
    active = first.claim(stage.schedule)
    term = replica.leadership.hold()
    expect(term is None, "that the replica does not lead", term)
    first.complete(active)
    first.leadership.release()
    term = replica.leadership.hold()
    expect(term, "that the replica leads after that", term)
    again = due(stage.schedule, replica.read(stage.schedule).state, LATER, 2)
    expect(again == (), "nothing due for it", again)


def two_beats_fire_each_occurrence_once(bench: Bench) -> None:
    """Of two beats one fires, the other takes over, and each occurrence is heard once."""
    every = timedelta(seconds=1)
    keys = GroupKeys(bench.settings.namespace, f"group-{uuid.uuid4().hex[:8]}")
    hosts = [_host(bench, keys, every) for _ in range(2)]
    began = datetime.now(UTC)

    def fired() -> list[datetime]:
        for host in hosts:
            host.tick()
        heard = [event for name, event in list(bench.notes.heard) if name == "clock"]
        return sorted(e.schedule.scheduled_at for e in heard if e.schedule)

    bench.until(lambda: len(fired()) >= 2, "two occurrences are heard")
    hosts[0].release()
    hosts.pop(0)
    bench.until(lambda: len(fired()) >= 4, "two more are heard")
    found = fired()
    gaps = {later - earlier for earlier, later in pairwise(found)}
    expect(gaps == {every}, f"one each second since {began:%H:%M:%S}", found)
    hosts[0].release()


def _host(bench: Bench, keys: GroupKeys, every: timedelta) -> GroupHost:
    schedule = _schedule(every)
    outlet = Outlet(
        publisher=bench.runtime.publisher,
        jobs=bench.runtime.producer,
        ledger=bench.ledger,
        queue_of=lambda found: bench.runtime.wiring.queue(found.target_name),
        instance_id=bench.runtime.wiring.instance_id,
    )
    return GroupHost(
        Group(keys=keys, schedules={schedule.key: schedule}),
        connect(endpoints.resolve(bench.settings).ledger_url),
        outlet,
        interval=every,
        lock_length=LOCK,
    )


def _schedule(every: timedelta) -> Schedule:
    return Schedule(
        name="tick",
        expression=Interval(every),
        target_kind="event",
        target_name="conformance.clock.ticked",
        service_name="conformance",
        service_version="1",
    )


def _taken(reached: list[Tracked | None]) -> Tracked:
    [tracked] = reached
    if tracked is None:
        raise EntryMoved("The step was refused.")
    return tracked


def _refused(write: Callable[[], object], what: str) -> None:
    try:
        write()
    except (NotLeading, EntryMoved):
        return
    expect(False, f"{what} to be refused", "accepted")
