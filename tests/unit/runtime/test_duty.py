"""A duty goes on whatever happens, and says of it what people need, once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis

from purista_celery.errors import LedgerUnavailable
from purista_celery.runtime.duty import Duty
from tests.support.waiting import until

MINUTE = timedelta(minutes=1)


class Chore(Duty):
    """Does what it is told, look by look."""

    def __init__(self, *looks: bool | Exception, every: timedelta = MINUTE) -> None:
        super().__init__("chore", every)
        self._looks = iter(looks)
        self.done: list[bool | Exception] = []
        self.idle = threading.Event()
        self.closed = False

    def look(self) -> bool:
        try:
            what = next(self._looks)
        except StopIteration:
            self.idle.set()
            return False
        self.done.append(what)
        if isinstance(what, Exception):
            self.wake()
            raise what
        return what

    def through(self) -> None:
        """Have it look until it has done all that it was told."""

        def woken() -> bool:
            self.wake()
            return self.idle.is_set()

        until(woken, "all is done")

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def ended() -> Iterator[list[Chore]]:
    """Chores that are ended after the test."""
    chores: list[Chore] = []
    yield chores
    for chore in chores:
        chore.stop()
        chore.join(10)
        assert not chore.is_alive()
        assert chore.closed


def run(ended: list[Chore], *looks: bool | Exception) -> Chore:
    chore = Chore(*looks)
    ended.append(chore)
    chore.start()
    return chore


def test_where_there_is_more_to_do_it_looks_again_at_once(ended: list[Chore]) -> None:
    """And waits where there is not, until it is woken."""
    chore = run(ended, True, True, False)
    chore.join(0.3)
    assert chore.done == [True, True, False]
    assert not chore.idle.is_set()
    chore.through()


def test_it_outlives_whatever_a_look_raises(
    ended: list[Chore], caplog: pytest.LogCaptureFixture
) -> None:
    """It says so with a traceback, not at each look, and once that it goes on."""
    errors = [ZeroDivisionError("division") for _ in range(5)]
    chore = run(ended, *errors, True, False)
    chore.through()
    assert chore.done == [*errors, True, False]
    told = [record.getMessage() for record in caplog.records]
    assert sum("waits" in line for line in told) == 1
    assert sum("goes on" in line for line in told) == 1
    assert sum(record.exc_info is not None for record in caplog.records) == 1


def test_of_a_server_that_is_away_it_says_nothing_of_its_own(
    ended: list[Chore], caplog: pytest.LogCaptureFixture
) -> None:
    """Five duties would say five times what the process says once."""
    away = LedgerUnavailable("The ledger did not answer.")
    away.__cause__ = redis.ConnectionError("refused")
    caplog.set_level(logging.INFO)
    chore = run(ended, away, False)
    chore.through()
    assert [record.getMessage() for record in caplog.records] == []
