"""Answers to remote control, from whoever has answered."""

from __future__ import annotations

from typing import Any

import pytest
from celery.app.control import Control as CeleryControl
from kombu.exceptions import DecodeError

from purista_celery import Settings
from purista_celery.compiler.app import CompiledApp
from purista_celery.compiler.configuration import base_app
from purista_celery.endpoints import Endpoints
from purista_celery.producer.control import Clock

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def app() -> CompiledApp:
    settings = Settings(broker_url=NOWHERE, ledger_url=NOWHERE, namespace="acme")
    return base_app(CompiledApp, "test", settings, Endpoints(NOWHERE, NOWHERE))


@pytest.mark.parametrize("time", ["late", -1, 2**53, 10**400, None, [], True, 1.5])
def test_a_clock_moves_to_no_time_that_a_message_can_not_carry(time: Any) -> None:
    """It ticks on instead."""
    clock = Clock(5)
    assert clock.adjust(time) == 6


def test_a_clock_moves_behind_a_later_one() -> None:
    """As Lamport has it."""
    assert Clock(5).adjust(41) == 42


def test_all_clocks_of_an_app_are_such(app: CompiledApp) -> None:
    """That of its events, and that of its mailbox."""
    assert isinstance(app.clock, Clock)
    assert isinstance(app.control.mailbox.clock, Clock)


def test_only_answers_are_answers(app: CompiledApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a worker that greets others at its start, and ``celery inspect``, live with the rest."""
    found = [5, None, ["x"], {"w@h": {"ok": "pong"}}, "x"]
    monkeypatch.setattr(CeleryControl, "broadcast", lambda *_, **__: found)
    assert app.control.inspect().ping() == {"w@h": {"ok": "pong"}}


@pytest.mark.parametrize("error", [DecodeError("x"), TypeError("x"), KeyError("x")])
def test_what_can_not_be_read_is_no_answer(
    app: CompiledApp, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Nobody has answered then, as far as we know."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(CeleryControl, "broadcast", fail)
    assert not app.control.inspect().ping()


def test_an_app_shares_no_name_with_others(app: CompiledApp) -> None:
    """Not with Celery's own, which every application on a RabbitMQ would have."""
    names = {
        app.control.mailbox.exchange.name,
        app.control.mailbox.reply_exchange.name,
        app.conf.event_exchange,
        app.conf.event_queue_prefix,
        app.conf.task_default_queue,
    }
    assert {name.removeprefix("reply.").partition(".")[0] for name in names} == {"acme"}
    assert app.amqp.default_exchange.name == ""
