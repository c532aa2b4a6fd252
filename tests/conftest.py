"""What runs beside what where the suite runs in two processes (``scripts/test`` by itself)."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

#: Suites of whole processes that are killed, frozen and timed: one after the other, in one of the
#: two, with the rest in the other.
ONE_AFTER_THE_OTHER = ("spine", "faults", "chaos")


def pytest_configure() -> None:
    """Let children be interrupted, which a shell's background forbids (called by pytest)."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_timeout_for_all() -> Iterator[None]:
    """Celery gives all new sockets of a process a time limit while a worker in it ends.

    One that stays would end the connections of any test that follows, seconds after they fell idle.
    """
    yield
    left, _ = socket.getdefaulttimeout(), socket.setdefaulttimeout(None)
    assert left is None, f"new sockets have a time limit of {left} s from now on"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return what hands tests to the processes (called by pytest-xdist)."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            """Return what a test is kept together with (the place that xdist has for it)."""
            file, *_ = nodeid.split("::", maxsplit=1)
            alone = file.startswith(tuple(f"tests/acceptance/{s}/" for s in ONE_AFTER_THE_OTHER))
            return "processes" if alone else file

    return Scheduling(config, log)
