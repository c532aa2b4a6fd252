"""Services in, a plain Celery app out, and nothing else touched."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import Any

import celery
import pytest
from celery import _state

from purista_celery import Client, Service, Settings, compile_app
from purista_celery.errors import ConfigurationError, ContractError, UnknownQueue
from tests.unit.compiler.services import Work, declare

#: Port 1 is nobody's.
NOWHERE = "redis://127.0.0.1:1/0"
NO_RABBIT = "amqp://guest:guest@127.0.0.1:1//"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PURISTA_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a connection in these tests is told so."""

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(params=[NOWHERE, NO_RABBIT], ids=["redis", "rabbitmq"])
def settings(request: pytest.FixtureRequest) -> Settings:
    return Settings(broker_url=request.param, ledger_url=NOWHERE, namespace="acme")


def ours(app: celery.Celery) -> set[str]:
    return {name for name in app.tasks if not name.startswith("celery.")}


def test_each_queue_that_has_a_worker_is_a_task(settings: Settings) -> None:
    """Those of subscriptions and bindings too; tasks have their queue's name."""
    app = compile_app(declare().services, settings)

    assert ours(app) == {
        "orders",
        "closing",
        "sub.books.2.record",
        "sub.books.2.audit",
        "sub.books.2.eventToQueue:order.placed:orders",
    }
    for name in ours(app):
        task = app.tasks[name]
        assert (task.acks_late, task.ignore_result) == (True, True)
        assert task.app is app


def test_a_worker_consumes_the_queues_that_it_serves(settings: Settings) -> None:
    """And a default queue, which no job of ours travels through."""
    shop = declare()
    elsewhere = Service("elsewhere")
    elsewhere.queue("without.worker", payload=Work)
    app = compile_app([*shop.services, elsewhere], settings)

    assert [queue.name for queue in app.conf.task_queues] == [
        "acme.default",
        *(f"acme.job.{queue.name}" for queue in app.purista_runtime.served),
    ]
    assert app.conf.task_default_queue == "acme.default"
    assert "without.worker" not in ours(app)
    assert "without.worker" in app.purista_runtime.wiring.queues


def test_an_inbox_is_bound_for_each_subscription_and_binding(settings: Settings) -> None:
    """By the event's name or the pattern."""
    app = compile_app(declare().services, settings)
    assert {queue.name: queue.routing_key for queue in app.purista_runtime.inboxes.values()} == {
        "acme.sub.books.2.record": "orders.done",
        "acme.sub.books.2.audit": "order.#",
        "acme.sub.books.2.eventToQueue:order.placed:orders": "order.placed",
    }


def test_the_app_speaks_json_only_and_acknowledges_late(settings: Settings) -> None:
    """One message ahead, no result backend, nothing pickled."""
    conf = compile_app(declare().services, settings).conf

    assert conf.accept_content == ["json"]
    assert {conf.task_serializer, conf.result_serializer, conf.event_serializer} == {"json"}
    assert conf.task_acks_late is True
    assert conf.worker_prefetch_multiplier == 1
    assert (conf.enable_utc, conf.timezone) == (True, "UTC")
    assert (conf.task_ignore_result, conf.result_backend, conf.result_expires) == (True, None, None)
    assert conf.task_store_eager_result is False


def test_a_long_running_queues_task_is_limited_to_its_runtime(settings: Settings) -> None:
    """The soft limit is max_runtime; the hard one leaves the handler its grace."""
    app = compile_app(declare().services, settings)
    task = app.tasks["closing"]
    assert (task.soft_time_limit, task.time_limit) == (21_600, 21_661)
    assert app.tasks["orders"].time_limit is None


def test_a_lease_can_last_until_its_handler_is_ended(settings: Settings) -> None:
    """Nobody begins another attempt beside a handler that ignores its soft limit."""
    wiring = compile_app(declare().services, settings).purista_runtime.wiring
    closing, orders = wiring.queue("closing"), wiring.queue("orders")
    # Six hours of run time, a minute of grace, a second, and one more lease of five minutes.
    assert closing.longest_hold == timedelta(hours=6, minutes=6, seconds=1)
    assert orders.longest_hold == orders.lifecycle.longest_hold


def test_the_app_has_a_client_that_knows_the_contracts(settings: Settings) -> None:
    """``app.purista``; a queue of another app is unknown to it, by name."""
    shop = declare()
    app = compile_app(shop.services, settings)
    assert isinstance(app.purista, Client)
    assert [schedule.name for schedule in app.purista.schedules.list()] == ["nightly"]
    stranger = Service("stranger").queue("strange", payload=Work)
    with pytest.raises(UnknownQueue, match=r"Queue 'strange' is not declared.*closing, orders"):
        app.purista.enqueue(stranger, Work())


def test_redis_keys_carry_the_namespace() -> None:
    """A delivery belongs to its worker for as long as the worker says that it is alive."""
    settings = Settings(broker_url=NOWHERE, namespace="acme", liveness_ttl=timedelta(seconds=7))
    app = compile_app(declare().services, settings)
    options = app.conf.broker_transport_options
    assert options["global_keyprefix"] == "acme:"
    assert options["visibility_timeout"] == 7


def test_rabbitmq_confirms_what_it_has() -> None:
    """A publish returns when RabbitMQ has the message."""
    app = compile_app(declare().services, Settings(broker_url=NO_RABBIT, ledger_url=NOWHERE))
    assert app.conf.broker_transport_options["confirm_publish"] is True


@pytest.mark.parametrize(
    ("broker", "options"),
    [
        (NOWHERE, ["socket_timeout", "socket_connect_timeout"]),
        (NO_RABBIT, ["read_timeout", "write_timeout"]),
    ],
)
def test_nobody_waits_for_a_broker_for_ever(broker: str, options: list[str]) -> None:
    """Each transport has its own names for it, and waits without end where nothing is set."""
    settings = Settings(broker_url=broker, ledger_url=NOWHERE, broker_timeout=timedelta(seconds=3))
    found = compile_app(declare().services, settings).conf.broker_transport_options
    assert [found[option] for option in options] == [3, 3]


def test_two_apps_share_nothing(settings: Settings) -> None:
    """Compiled from the same services, in one process, under two namespaces."""
    services = declare().services
    first = compile_app(services, settings)
    second = compile_app(services, settings.model_copy(update={"namespace": "other"}))

    assert ours(first) == ours(second)
    for name in ours(first):
        assert first.tasks[name] is not second.tasks[name]
        assert second.tasks[name].app is second
    assert first.conf.task_default_queue == "acme.default"
    assert second.conf.task_default_queue == "other.default"
    assert first.purista is not second.purista
    assert first.purista_runtime.ledger.client is not second.purista_runtime.ledger.client
    assert first.steps["worker"] is not second.steps["worker"]
    assert {queue.name for queue in first.conf.task_queues}.isdisjoint(
        queue.name for queue in second.conf.task_queues
    )
    second.conf.task_acks_late = False
    assert first.conf.task_acks_late is True


def test_celerys_global_state_is_left_alone(settings: Settings) -> None:
    """No default or current app is set, and no task is shared with other apps."""
    theirs = celery.Celery("theirs", set_as_current=False)

    def seen() -> Any:
        return _state.default_app, getattr(_state._tls, "current_app", None), set(theirs.tasks)

    before = seen()
    app = compile_app(declare().services, settings)
    assert ours(app)
    assert seen() == before


def test_contracts_that_do_not_fit_are_refused_before_anything_is_made(settings: Settings) -> None:
    """``compile_app`` checks what only all services can tell."""
    with pytest.raises(ContractError, match="Two services declare service 'shop version 1'"):
        compile_app([declare().shop, *declare().services], settings)


@pytest.mark.parametrize(
    ("urls", "says"),
    [
        ({"broker_url": "http://x"}, "PURISTA_BROKER_URL: scheme 'http' is not supported"),
        ({"broker_url": "localhost:6379"}, "PURISTA_BROKER_URL is no URL that can be read"),
        ({"broker_url": "sqs://"}, "PURISTA_BROKER_URL: scheme 'sqs'"),
        ({"broker_url": NO_RABBIT, "ledger_url": NO_RABBIT}, "PURISTA_LEDGER_URL: scheme 'amqp'"),
        ({"broker_url": NOWHERE, "ledger_url": "nowhere"}, "PURISTA_LEDGER_URL"),
    ],
)
def test_a_server_that_we_do_not_speak_to_is_refused(urls: dict[str, str], says: str) -> None:
    """The message names the setting and what is expected."""
    with pytest.raises(ConfigurationError, match=says):
        compile_app(declare().services, Settings(**urls))  # type: ignore[arg-type]


def test_passwords_are_not_shown() -> None:
    """Neither settings nor errors repeat a URL."""
    url = "redis://:hunter2@127.0.0.1:1/0"
    settings = Settings(broker_url=url, ledger_url=url)
    assert "hunter2" not in repr(settings)
    with pytest.raises(ConfigurationError) as caught:
        compile_app([], Settings(broker_url="ftp://:hunter2@127.0.0.1/"))
    assert "hunter2" not in str(caught.value)


def test_compression_that_no_worker_opens_is_refused_before_a_job_is_stored(
    settings: Settings,
) -> None:
    """Celery's setting would make a dead letter of each job."""
    shop = declare()
    app = compile_app(shop.services, settings)
    app.conf.task_compression = "gzip"
    with pytest.raises(ConfigurationError, match="task_compression"):
        app.purista.enqueue(shop.orders, Work())


def test_a_queue_that_others_serve_is_known_for_publishing(settings: Settings) -> None:
    """Declared with the arguments that its workers declare it with, and not consumed from."""
    elsewhere = Service("elsewhere")
    elsewhere.queue("without.worker", payload=Work)
    app = compile_app([*declare().services, elsewhere], settings)
    name = "acme.job.without.worker"

    served, known = app.amqp.queues["acme.job.orders"], app.amqp.queues[name]
    assert known.queue_arguments == served.queue_arguments
    assert (known.exchange.name, known.routing_key) == ("", name)
    assert name not in app.amqp.queues.consume_from
