"""What the router does with an event that it can not make a job of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from purista_celery.errors import LedgerUnavailable
from purista_celery.runtime.router import Router


class Message:
    """An event in an inbox."""

    def __init__(self) -> None:
        self.body, self.headers, self.properties = b"{}", {}, {}
        self.content_type, self.content_encoding = "application/json", "utf-8"
        self.delivery_info = {"routing_key": "acme.sub.a.1.b"}
        self.done: list[str] = []

    def ack(self) -> None:
        self.done.append("ack")

    def requeue(self) -> None:
        self.done.append("requeue")


def router(error: Exception, kept: list[Any]) -> Any:
    def fail(*_: object) -> None:
        raise error

    runtime: Any = SimpleNamespace(
        app=SimpleNamespace(
            connection_for_read=lambda **_: None, conf=SimpleNamespace(broker_heartbeat=1)
        ),
        inboxes={"sub.a.1.b": SimpleNamespace(name="acme.sub.a.1.b")},
        settings=SimpleNamespace(max_payload=1024),
        publisher=SimpleNamespace(bridge=SimpleNamespace(hears=fail)),
        ledger=SimpleNamespace(park=lambda queue, *_, **__: kept.append(queue)),
    )
    return Router(runtime)


QUEUE: Any = SimpleNamespace(name="sub.a.1.b", heard="e")


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyError("x"), OSError("x"), MemoryError()])
def test_an_error_that_nobody_expected_does_not_come_back_for_ever(error: Exception) -> None:
    """Its event is a dead letter, and those behind it are routed."""
    kept: list[Any] = []
    made, message = router(error, kept), Message()
    made._handler(QUEUE)(message)
    assert (kept, message.done) == (["sub.a.1.b"], ["ack"])


def test_a_ledger_that_is_away_is_waited_for() -> None:
    """Until the router is stopped; then the event goes back."""
    kept: list[Any] = []
    made, message = router(LedgerUnavailable("away"), kept), Message()
    made._stopping.wait = lambda _: made._stopping.set()
    made._handler(QUEUE)(message)
    assert (kept, message.done) == ([], ["requeue"])
