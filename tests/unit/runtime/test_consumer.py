"""Which of Celery's steps a worker's consumer takes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery.utils.imports import symbol_by_name
from celery.worker.consumer.mingle import Mingle as CeleryMingle
from kombu.exceptions import OperationalError

from purista_celery import Service, Settings, compile_app
from purista_celery.errors import BrokerUnavailable
from purista_celery.runtime.broadcasts import IN_PLACE_OF, Mingle
from purista_celery.runtime.consumer import Consumer


def required(step: type) -> set[type]:
    """Return a step and all that it brings along."""
    found = symbol_by_name(step)
    return {found}.union(*(required(each) for each in found.requires))


def test_no_step_of_celerys_runs_beside_ours_that_is_in_its_place() -> None:
    """A step that one of ours requires would be there, too: there were two mingles, and the one
    that does not outlive a broker's outage ended the worker.
    """
    steps: set[type] = set().union(*(required(each) for each in Consumer.Blueprint.default_steps))
    assert steps.isdisjoint({symbol_by_name(name) for name in IN_PLACE_OF})
    assert steps >= set(IN_PLACE_OF.values())


def test_a_connection_that_is_lost_while_a_step_opens_it_is_made_anew() -> None:
    """Kombu raises what Celery does not take for a lost connection."""
    app = compile_app([Service("shop")], Settings(broker_url="amqp://127.0.0.1:1//"))
    worker = SimpleNamespace(use_eventloop=False)
    consumer = Consumer(lambda _: None, app=app, hub=None, timer=object(), controller=worker)
    assert OperationalError in consumer.connection_errors
    app.close()


@pytest.mark.parametrize("error", [OperationalError("gone"), BrokerUnavailable("refused")])
def test_workers_that_can_not_be_asked_hold_nobody_up(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A broker that fails at the question what other workers know is no reason not to work."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(CeleryMingle, "send_hello", fail)
    assert Mingle.send_hello(object.__new__(Mingle), None) == {}
