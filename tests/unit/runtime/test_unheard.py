"""When a queue counts as one whose messages the broker withholds."""

from __future__ import annotations

import pytest

from purista_celery.runtime.unheard import Unheard


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("purista_celery.runtime.unheard.time.monotonic", lambda: now[0])
    return now


def test_a_queue_counts_once_nothing_has_come_for_a_while(clock: list[float]) -> None:
    """From the first offer on, however often its jobs are offered again."""
    unheard = Unheard()
    assert not unheard.in_doubt
    unheard.offered("a")
    assert unheard.in_doubt
    clock[0] += 5
    unheard.offered("a")
    unheard.offered("b")
    assert unheard.since(6, {"a", "b"}) == []
    clock[0] += 1
    assert unheard.since(6, {"a", "b"}) == ["a"]
    assert unheard.since(6, {"b"}) == []


def test_a_message_that_comes_ends_the_doubt(clock: list[float]) -> None:
    """Its queue counts anew from the next offer on; so do all after a new connection."""
    unheard = Unheard()
    unheard.offered("a")
    unheard.offered("b")
    clock[0] += 10
    unheard.heard("a")
    unheard.heard("never offered")
    assert unheard.since(6, {"a", "b"}) == ["b"]
    unheard.offered("a")
    unheard.forget()
    assert not unheard.in_doubt
    clock[0] += 10
    assert unheard.since(6, {"a", "b"}) == []
