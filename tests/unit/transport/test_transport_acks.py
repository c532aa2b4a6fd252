"""The buffer of acknowledgements."""

from __future__ import annotations

import threading
import time

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from purista_celery.transport import acks
from purista_celery.transport.acks import AckBuffer


def test_what_is_taken_is_not_sent_again():
    """Tags that travel with a claim are out of the buffer."""
    sent: list[list[str]] = []
    buffer = AckBuffer(lambda tags: sent.append(list(tags)))
    buffer.add("a")
    buffer.add("b")
    assert len(buffer) == 2
    assert buffer.take() == ["a", "b"]
    buffer.flush()
    assert sent == []


def test_what_nobody_takes_is_sent_soon():
    """Without a claim, a thread sends what waits, together."""
    sent, done = [], threading.Event()

    def send(tags):
        sent.append(sorted(tags))
        done.set()

    buffer = AckBuffer(send)
    buffer.add("a")
    buffer.add("b")
    assert done.wait(10)
    assert sent == [["a", "b"]]


def test_failed_flush_keeps_the_tags():
    """An error is raised to the caller and nothing is forgotten."""

    def fail(tags):
        raise RedisConnectionError("away")

    buffer = AckBuffer(fail)
    buffer.put_back(["a"])
    with pytest.raises(RedisConnectionError):
        buffer.flush()
    assert buffer.take() == ["a"]


def test_sending_is_tried_again_until_the_broker_is_back(monkeypatch):
    """The thread outlasts an outage."""
    monkeypatch.setattr(acks, "RETRY_INTERVAL", 0.01)
    monkeypatch.setattr(acks, "LONGEST_WAIT", 0.01)
    attempts, done = [], threading.Event()

    def send(tags):
        attempts.append(list(tags))
        if len(attempts) < 3:
            raise RedisConnectionError("away")
        done.set()

    AckBuffer(send).add("a")
    assert done.wait(10)
    assert attempts == [["a"]] * 3


def test_endless_outage_leaves_messages_to_their_leases(monkeypatch, caplog):
    """At some point the acknowledgements are dropped, and the log says what follows from that."""
    monkeypatch.setattr(acks, "RETRY_INTERVAL", 0.01)
    monkeypatch.setattr(acks, "LONGEST_WAIT", 0.01)
    monkeypatch.setattr(acks, "GIVE_UP_AFTER", 0.02)

    def fail(tags):
        raise RedisConnectionError("away")

    buffer = AckBuffer(fail)
    buffer.add("a")
    _until(lambda: "delivered again when their leases end" in caplog.text)
    assert len(buffer) == 0


def test_thread_ends_when_idle_and_starts_again(monkeypatch):
    """An idle buffer keeps no thread."""
    monkeypatch.setattr(acks, "IDLE", 0.01)
    monkeypatch.setattr(acks, "LONGEST_WAIT", 0.01)
    sent: list[str] = []
    buffer = AckBuffer(sent.extend)
    for number in range(3):
        buffer.add(str(number))
        _until(lambda wanted=number: len(sent) == wanted + 1 and buffer._thread is None)
    assert sent == ["0", "1", "2"]


def _until(condition) -> None:
    end, pause = time.monotonic() + 10, threading.Event()
    while not condition():
        assert time.monotonic() < end
        pause.wait(0.005)
