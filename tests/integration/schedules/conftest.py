"""A Redis, a clock that the test moves, and beats that share both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import redis

from purista_celery.contracts.schedule import Interval, Schedule
from purista_celery.errors import BrokerUnavailable
from purista_celery.ledger.ledger import Ledger
from purista_celery.messages.envelope import AnyEvent, ScheduleTrigger
from purista_celery.producer.events import EventPublisher
from purista_celery.producer.jobs import JobProducer
from purista_celery.schedules.clock import LedgerClock
from purista_celery.schedules.group import Group
from purista_celery.schedules.host import GroupHost
from purista_celery.schedules.keys import GroupKeys
from purista_celery.schedules.outlet import Outlet
from tests.support.servers import RedisServer

#: Long enough that no test outlives a lock: who wants it lost deletes it.
LOCK = timedelta(minutes=5)


@dataclass
class Broker:
    """Stands in for the publisher; can be away, or end the process right after a publish."""

    events: list[AnyEvent] = field(default_factory=list)
    away: bool = False
    killing: bool = False
    #: Called before each publish.
    before: Any = None

    @contextmanager
    def lend(self) -> Iterator[None]:
        yield None

    def reaches(self, _: None, __: redis.Redis) -> bool:
        return False

    def publish(self, event: AnyEvent, _: None) -> None:
        if self.before:
            self.before()
        if self.away:
            raise BrokerUnavailable("The broker is away.")
        self.events.append(event)
        if self.killing:
            raise SystemExit("killed between publish and advance")

    @property
    def triggers(self) -> list[ScheduleTrigger]:
        return [event.schedule for event in self.events if event.schedule]


@dataclass
class World:
    """Everything that several beats share."""

    client: redis.Redis
    broker: Broker = field(default_factory=Broker)
    #: A real one, in the stand-in's place.
    publisher: EventPublisher | None = None
    now: datetime = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
    keys: GroupKeys = field(default_factory=lambda: GroupKeys("app", "default"))
    start: datetime = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)

    @property
    def ledger(self) -> Ledger:
        """The ledger of the application."""
        return Ledger(self.client, "app", timedelta(days=1))

    def beat(
        self,
        *schedules: Schedule,
        rejected: tuple[str, ...] = (),
        client: redis.Redis | None = None,
        clock: LedgerClock | None = None,
        **fields: Any,
    ) -> GroupHost:
        """Return a beat that has just been started with these schedules.

        Args:
            client: its own line to the store.
            clock: its own, compared with the store's.
        """
        group = Group(
            keys=self.keys,
            schedules={schedule.key: schedule for schedule in schedules},
            rejected=dict.fromkeys(rejected, "PURISTA_SCHEDULER_INVALID"),
            **fields,
        )
        outlet = Outlet(
            publisher=self.publisher or cast(EventPublisher, self.broker),
            jobs=cast(JobProducer, None),
            ledger=self.ledger,
            queue_of=lambda schedule: pytest.fail(f"{schedule.name} enqueues"),
            instance_id="test",
        )
        return GroupHost(
            group,
            client or self.client,
            outlet,
            interval=timedelta(seconds=1),
            lock_length=LOCK,
            clock=clock or (lambda: self.now),
        )

    def run(self, *beats: GroupHost, seconds: int) -> None:
        """Let time pass in seconds, each beat ticking once in each."""
        for _ in range(seconds):
            self.now += timedelta(seconds=1)
            for beat in beats:
                beat.tick()

    def sleep(self, seconds: int) -> None:
        """Let time pass with nobody looking, so that a dead leader's lock has expired."""
        self.now += timedelta(seconds=seconds)
        self.client.delete(self.keys.lock)

    @property
    def fired(self) -> list[float]:
        """The published occurrences, in seconds since the start."""
        return [
            (trigger.scheduled_at - self.start).total_seconds() for trigger in self.broker.triggers
        ]


@pytest.fixture(scope="session")
def schedule_redis() -> Iterator[RedisServer]:
    """One Redis for the session."""
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture
def world(schedule_redis: RedisServer) -> Iterator[World]:
    """An empty store at noon."""
    with schedule_redis.client() as client:
        client.flushall()
        client.script_flush()
        yield World(client)


def every(seconds: float = 10, **fields: Any) -> Schedule:
    """Return a schedule of an interval."""
    return Schedule(
        **{
            "name": "tick",
            "expression": Interval(timedelta(seconds=seconds)),
            "target_kind": "event",
            "target_name": "clock.ticked",
            "service_name": "clock",
            "service_version": "1",
            **fields,
        }
    )


@pytest.fixture(name="every")
def every_fixture() -> Any:
    """Makes schedules, every ten seconds unless told."""
    return every
