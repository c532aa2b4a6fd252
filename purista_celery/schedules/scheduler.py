"""Celery's beat scheduler: RedBeat's, with our entries, our cursor and our firing."""

from __future__ import annotations

import logging
import socket
import time
import uuid
from datetime import timedelta
from typing import Any

import click
import redis
from celery.utils.log import get_logger
from kombu.utils.url import maybe_sanitize_url
from redbeat import RedBeatScheduler
from redbeat.schedulers import get_redis

from purista_celery.errors import (
    BeatConflict,
    ConfigurationError,
    PuristaError,
    UnsupportedServer,
)
from purista_celery.ledger.connection import unavailable
from purista_celery.redis_client import ThreadClient
from purista_celery.schedules.bell import Bell
from purista_celery.schedules.clock import LedgerClock
from purista_celery.schedules.entry import Entry
from purista_celery.schedules.foreign import foreign_outlet
from purista_celery.schedules.group import Plan
from purista_celery.schedules.host import GroupHost, patience_with
from purista_celery.schedules.silence import Wakefulness

logger = get_logger("celery.beat")

#: Seconds between two ticks at most, where nothing else is set.
MAX_INTERVAL = 1.0
#: Seconds after which it is said again that a group is held up.
_REPORT_EVERY = 30.0
#: A lock must outlive this many ticks, or it would be lost by an ordinary delay.
_TICKS_PER_LOCK = 3


def _was_not_said(record: logging.LogRecord) -> bool:
    """Leave out Celery's traceback of what :meth:`Scheduler.tick` has said in a line."""
    return not (record.exc_info and isinstance(record.exc_info[1], click.ClickException))


logger.addFilter(_was_not_said)


class Scheduler(RedBeatScheduler):
    """Hosts the groups of the app's plan (``purista_beat_plan``), each with a lock of its own.

    Raises:
        ConfigurationError: the app was not made for beat, or its lock is too short.
    """

    Entry = Entry
    max_interval = MAX_INTERVAL

    def __init__(self, app: Any, lazy: bool = False, **kwargs: Any) -> None:  # noqa: FBT001
        super().__init__(app, lazy=lazy, **kwargs)
        # RedBeat would wait for this lock while beat starts; ours are taken and lost tick by tick.
        self.lock_key = None
        self._hosts: tuple[GroupHost, ...] = () if lazy else tuple(self._make_hosts())
        self._bell = Bell(self._client(), [host.group.keys.changes for host in self._hosts])
        self._reported: dict[str, float] = {}

    def setup_schedule(self) -> None:
        """Report what can not be fired. The store is changed under the lock, not here."""
        for entry in self._plan.rejected:
            logger.error("beat: schedule %s is not fired: %s", entry.key, entry.error)

    def tick(self) -> float:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Serve each group once, and wait until there is something to do again.

        Raises:
            ClickException: a setting has to be changed first. It ends the command with status 1.
        """
        try:
            self._bell.wait(self.serve())
        except ConfigurationError as error:
            logger.critical("beat ends: %s", error)
            raise click.ClickException(str(error)) from None
        return 0.0

    def serve(self) -> float:
        """Serve each group once, and return the seconds until the next time."""
        return min([self.max_interval, *(self._serve(host) for host in self._hosts)])

    def close(self) -> None:
        """Give up the locks, so that another beat goes on at once."""
        for host in self._hosts:
            try:
                host.release()
            except (redis.RedisError, PuristaError) as error:
                logger.warning("beat: the lock was not released, it expires: %s", error)
        self._bell.close()
        super().close()

    @property
    def info(self) -> str:
        """What beat prints at its start."""
        groups = ", ".join(group.keys.group for group in self._plan.groups) or "none"
        return (
            f"       . redis -> {maybe_sanitize_url(self.app.redbeat_conf.redis_url)}\n"
            f"       . groups -> {groups}\n"
            f"       . lock -> {self.lock_timeout}s"
        )

    @property
    def _plan(self) -> Plan:
        plan = self.app.conf.get("purista_beat_plan")
        if not isinstance(plan, Plan):
            raise ConfigurationError(
                "This scheduler fires a schedule manifest, and the app has none. Start it as "
                "'celery -A purista_celery.beat beat'."
            )
        return plan

    def _make_hosts(self) -> list[GroupHost]:
        if self.lock_timeout < _TICKS_PER_LOCK * self.max_interval:
            raise ConfigurationError(
                f"redbeat_lock_timeout {self.lock_timeout} s is less than {_TICKS_PER_LOCK} times "
                f"the interval of {self.max_interval} s; make it longer."
            )
        instance_id = f"{socket.gethostname()}:{uuid.uuid4().hex}"
        client = self._client()
        interval, clock = timedelta(seconds=self.max_interval), LedgerClock()
        awake = Wakefulness(clock.counter, patience_with(interval))
        return [
            GroupHost(
                group,
                client,
                foreign_outlet(self.app, client, group.keys.namespace, instance_id),
                interval=interval,
                lock_length=timedelta(seconds=self.lock_timeout),
                clock=clock,
                awake=awake,
            )
            for group in self._plan.groups
        ]

    def _client(self) -> redis.Redis:
        client: redis.Redis = get_redis(self.app)
        return ThreadClient(connection_pool=client.connection_pool)

    def _serve(self, host: GroupHost) -> float:
        name = host.group.keys.group
        try:
            wait = host.tick()
        except (BeatConflict, UnsupportedServer):
            # Nothing to wait for: somebody has to change a setting.
            raise
        except redis.RedisError as error:
            self._report(host, str(unavailable(error) or f"{type(error).__name__}: {error}"))
            return self.max_interval
        except PuristaError as error:
            self._report(host, str(error))
            return self.max_interval
        if self._reported.pop(name, None) is not None:
            logger.warning("beat: group %s goes on", name)
        return wait

    def _report(self, host: GroupHost, problem: str) -> None:
        # Now and then: it is tried again every interval.
        name, now = host.group.keys.group, time.monotonic()
        if now - self._reported.get(name, -_REPORT_EVERY) >= _REPORT_EVERY:
            self._reported[name] = now
            logger.error(
                "beat: group %s is held up, nothing is skipped, lag %.1f s: %s",
                *(name, host.lag.total_seconds(), problem),
            )
